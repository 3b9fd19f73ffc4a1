"""Where a balance and its Transfer logs say different things: some of them may have been left out of an answer.

Or they never said it all, as those of tokens that rebase or take a fee. Only another answer can tell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

MOST_SPANS: Final = 16
"""Of one balance; from then on the lowest grows. A token that rebases has one between any two changes."""


class Span(NamedTuple):
    """Blocks, both included."""

    first: int
    last: int


@dataclass(slots=True)
class Mismatches:
    """Of one balance that is walked back: `known` is the lowest block so far at whose end it is known."""

    known: int
    is_sure: bool = False
    """The logs below `known` cannot be right, whatever comes."""
    is_blind: bool = False
    """One of them does not say how much: then nothing can be held against the others."""
    met: int = 0
    """So many reads there were."""
    differing: int = 0
    """So many of them were not what the logs said."""
    spans: list[Span] = field(default_factory=list)
    """The newest first."""

    def meet(self, number: int, *, differs: bool) -> None:
        """At the end of this block the balance was read."""
        self.met += 1
        if (differs or self.is_sure) and not self.is_blind:
            self.differing += 1
            self._note(Span(number + 1, self.known))
        self.known, self.is_sure, self.is_blind = number, False, False

    def at_end(self, first: int, *, is_due: bool) -> tuple[Span, ...]:
        """All of them, and what is left down to block `first` where that is due."""
        rest = (Span(first, self.known),) if is_due and not self.is_blind and first <= self.known else ()
        return (*self.spans, *rest)

    def _note(self, span: Span) -> None:
        if len(self.spans) == MOST_SPANS:
            span = Span(span.first, self.spans.pop().last)
        self.spans.append(span)
