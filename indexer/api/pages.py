"""Pages of lists, and the opaque cursors that lead from one to the next."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import orjson

from indexer.api.parameters import INT64, Query
from indexer.errors import Refused

Item = TypeVar("Item")

_MAX_CURSOR = 512


def page_of(
    items: Sequence[Item], limit: int, show: Callable[[Item], dict[str, Any]], mark: Callable[[Item], str]
) -> dict[str, Any]:
    """`items` holds one more than `limit` where there is a next page."""
    shown = items[:limit]
    return {"items": [show(item) for item in shown], "next": mark(shown[-1]) if len(items) > limit else None}


def whole(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A list of which there is no more than this."""
    return {"items": items, "next": None}


def listing(kind: str, *subject: int | str | None) -> str:
    """The name of one list among those of its kind: what it is about, not how much of it a page shows."""
    return f"{kind}:{blake2b(repr(subject).encode(errors='surrogatepass'), digest_size=6).hexdigest()}"


def cursor(name: str, *place: int | str) -> str:
    """Where the next page begins: after `place`, in the list of this name."""
    return urlsafe_b64encode(orjson.dumps([name, *place])).decode().rstrip("=")


def place_of(query: Query, name: str, *types: type) -> list[Any] | None:
    """What `cursor` was made from, one value per type; refused where it was not made for this list.

    One that names the kind alone was made before lists had names of their own, and is taken for this one.
    """
    text = query.text("cursor")
    if text is None:
        return None
    place = _decoded(text)
    if not isinstance(place, list) or len(place) != len(types) + 1 or not isinstance(place[0], str):
        raise _bad()
    kind = name.partition(":")[0]
    if place[0] not in (name, kind):
        if place[0].partition(":")[0] == kind:
            raise Refused("a cursor of another list: send it with the path and filters of the page before", "cursor")
        raise _bad()
    values = place[1:]
    if any(not _fits(value, wanted) for value, wanted in zip(values, types, strict=True)):
        raise _bad()
    return values


def _decoded(text: str) -> Any:
    if len(text) > _MAX_CURSOR or not text.isascii():
        raise _bad()
    try:
        return orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise _bad() from error


def _fits(value: Any, wanted: type) -> bool:
    """A bool is an int to Python, and an int may be larger than any that we made."""
    return type(value) is wanted and not (isinstance(value, int) and not 0 <= value <= INT64)


def _bad() -> Refused:
    return Refused("not a cursor of this list; take it from `next` of the page before", "cursor")
