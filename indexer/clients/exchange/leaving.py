"""When a question left for the venue: it may wait for its turn, and what happens meanwhile is in the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_MOMENTS: Final[ContextVar[list[float] | None]] = ContextVar("left", default=None)


@contextmanager
def watched() -> Iterator[list[float]]:
    """The moments at which the requests of this task leave meanwhile."""
    moments: list[float] = []
    token = _MOMENTS.set(moments)
    try:
        yield moments
    finally:
        _MOMENTS.reset(token)


def left() -> None:
    """One leaves now."""
    moments = _MOMENTS.get()
    if moments is not None:
        moments.append(asyncio.get_running_loop().time())
