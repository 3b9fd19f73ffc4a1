"""Who told the logs of which blocks: whoever is asked once more should be somebody else."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

_KEPT: Final = 256
"""Endpoints rarely change while history is collected, and what one told in a row is one entry."""


class _Told(NamedTuple):
    first: int
    last: int
    by: str | None


class Tellers:
    """The newest word counts; the oldest are forgotten."""

    def __init__(self) -> None:
        self._told: deque[_Told] = deque(maxlen=_KEPT)

    def note(self, first: int, last: int, by: str | None) -> None:
        """History is asked for downwards; nobody in particular, where several told a part each."""
        if self._told and self._told[-1].by == by and self._told[-1].first == last + 1:
            last = self._told.pop().last
        self._told.append(_Told(first, last, by))

    def of(self, first: int, last: int) -> str | None:
        """Nothing where that is not known any more, or several did."""
        return next((told.by for told in reversed(self._told) if told.first <= last and first <= told.last), None)
