"""What a venue's answers look like when there is something in them: by that alone an empty one is told from none.

ccxt makes an empty balance of whatever it cannot read, and of the venues that it alone knows nobody has looked at the
answers. So an answer without a single asset is believed where it is built as those with assets were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self


class Shape(NamedTuple):
    """A list, or an object with at least these members."""

    is_list: bool
    members: frozenset[str] = frozenset()

    @classmethod
    def of(cls, answer: Any) -> Self | None:
        """Nothing for what is no answer: an empty object, a bare word, a page, or no JSON at all."""
        if isinstance(answer, list):
            return cls(is_list=True)
        if isinstance(answer, Mapping) and answer:
            return cls(is_list=False, members=frozenset(map(str, answer)))
        return None

    def with_one(self, other: Self) -> Self:
        """What both have: members come and go."""
        return other if other.is_list != self.is_list else other._replace(members=self.members & other.members)

    def is_like(self, known: Self | None) -> bool:
        """Whether this may be such an answer; nobody knows before one had assets."""
        return known is None or (self.is_list == known.is_list and self.members >= known.members)


Shapes = tuple[Shape, ...]
"""Of all answers that one balance is put together from."""


def shapes_of(answers: Sequence[Any]) -> Shapes | None:
    """Nothing where one of them is no answer."""
    shapes = tuple(shape for each in answers if (shape := Shape.of(each)) is not None)
    return shapes if len(shapes) == len(answers) else None


def are_like(shapes: Shapes, known: Shapes | None) -> bool:
    return known is None or (len(shapes) == len(known) and all(map(Shape.is_like, shapes, known)))


def with_ones(known: Shapes | None, shapes: Shapes) -> Shapes:
    if known is None or len(known) != len(shapes):
        return shapes
    return tuple(map(Shape.with_one, known, shapes))
