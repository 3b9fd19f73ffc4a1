"""JSON from outside, where a member that is given twice is a mistake: whichever counted, the other was meant, too."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from indexer.errors import Refused

_LONGEST_NAME: Final = 64
_LONGEST_PLACE: Final = 200


class GivenTwice(Refused):
    """A member is; `rest` is what else the outermost object says, where it is one."""

    def __init__(self, field: str, rest: Mapping[str, Any]) -> None:
        super().__init__("given more than once", field)
        self.rest = rest


class _Ambiguous(dict[str, Any]):
    """An object of which a member was given twice."""

    name: str


def parsed(raw: bytes | str) -> Any:
    """Raises `orjson.JSONDecodeError`; a member that is given twice is refused by its place, as in `after.chain:1`."""
    value = orjson.loads(raw)
    found: list[_Ambiguous] = []

    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = Counter(name for name, _ in pairs)
        if len(names) == len(pairs):
            return dict(pairs)
        found.append(_Ambiguous(pairs))
        found[-1].name = names.most_common(1)[0][0]
        return found[-1]

    try:
        tree = json.loads(raw, object_pairs_hook=checked)
    except RecursionError as error:
        raise Refused("objects and lists in it are nested too deeply") from error
    if found:
        raise _refusal(tree)
    return value


def _refusal(tree: Any) -> GivenTwice:
    """By the outermost one: what is inside a value that does not count is not in the tree any more."""
    place, ambiguous = next((place, value) for place, value in _places(tree) if isinstance(value, _Ambiguous))
    rest = dict(tree) if isinstance(tree, dict) else {}
    if ambiguous is tree:
        del rest[ambiguous.name]
    return GivenTwice((place + _member(ambiguous.name)).removeprefix("."), rest)


def _places(tree: Any) -> Iterator[tuple[str, Any]]:
    """Objects and lists, each before what is in it. Without recursion: they may be nested as deep as JSON may."""
    yield "", tree
    opened = [("", _inside(tree))]
    while opened:
        around, inside = opened[-1]
        step, value = next(inside, (None, None))
        if step is None:
            opened.pop()
        elif isinstance(value, dict | list):
            place = around + step
            if len(place) > _LONGEST_PLACE:
                place = f"{place[:_LONGEST_PLACE]}…"
            yield place, value
            opened.append((place, _inside(value)))


def _inside(value: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        return ((_member(name), one) for name, one in value.items())
    return ((f"[{at}]", one) for at, one in enumerate(value))


def _member(name: str) -> str:
    return f".{name[:_LONGEST_NAME]}"
