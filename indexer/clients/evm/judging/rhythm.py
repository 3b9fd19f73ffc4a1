"""How often a chain makes a block, measured; what counts as silence follows from it."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass
from typing import Final

from indexer.domain.chain import Head

_KEPT: Final = 15
_UNKNOWN_SECONDS: Final = 4.0
_LONGEST_SILENCE: Final = 60.0
"""A chain that mines rarely is asked about now and then all the same."""
_LATE: Final = 1.5
"""Block times after which a head is overdue, though not yet missed: a second source costs one request."""
_TO_FIND_OUT: Final = 0.75
"""Seconds that asking takes, a moment's grace for the websocket included."""
_MORE: Final = 0.3
"""Seconds beyond the longest of them: a late head is not yet a missing one."""
_BEHIND_BLOCKS: Final = 3
_STAMP_SECONDS: Final = 1.0
"""Headers name whole seconds."""
_SHORTEST_AGAIN: Final = 1.0
_SHORTEST_BLOCK: Final = 0.001
_SHORTEST_POLL: Final = 0.25
_LONGEST_POLL: Final = 4.0


@dataclass(frozen=True, slots=True)
class Expected:
    """By what an endpoint is held against the others."""

    behind_blocks: float
    """So far below another one, it is as good as silent."""
    late_seconds: float
    """Without a head of its own for so long, while another one has a higher one, it is worth a second look."""
    still_seconds: float
    """And for so long, it stands still."""


class Rhythm:
    """The median time between a chain's blocks, as they reached us one by one."""

    def __init__(self, shortest_silence_seconds: float = 3.0) -> None:
        self._shortest_silence_seconds = shortest_silence_seconds
        self._seconds: deque[float] = deque(maxlen=_KEPT)
        self._last: tuple[Head, float] | None = None

    def heard(self, head: Head, now: float) -> None:
        if self._last is None:
            self._last = (head, now)
        elif head.number > self._last[0].number:
            self._seconds.append(_seconds_a_block(*self._last, head, now))
            self._last = (head, now)

    @property
    def block_seconds(self) -> float:
        return statistics.median(self._seconds) if self._seconds else _UNKNOWN_SECONDS

    @property
    def silence_seconds(self) -> float:
        """Quiet for so long, a source is silent: three block times at most, and three seconds at least."""
        known = 3 * self.block_seconds if self._seconds else 0.0
        return min(max(known, self._shortest_silence_seconds), _LONGEST_SILENCE)

    @property
    def doubt_seconds(self) -> float:
        """Quiet for so long, somebody else is asked: early enough to know by `silence_seconds`."""
        overdue = _LATE * self.block_seconds + self._shortest_silence_seconds
        return min(self.silence_seconds - min(_TO_FIND_OUT, self.silence_seconds / 4), overdue)

    @property
    def overdue_seconds(self) -> float | None:
        """Quiet for longer than between any of the last blocks: one question is worth it, before there is doubt.

        However irregular a chain is, that is so at one block in sixteen; and at one or two more of the first eight,
        while there are few to hold it against.
        """
        return max(self._seconds) + _MORE if self._seconds else None

    @property
    def again_seconds(self) -> float:
        """In doubt, everybody is asked again after so long: a block that comes now is not to wait for as long again."""
        return min(self.doubt_seconds, max(self.block_seconds, _SHORTEST_AGAIN))

    @property
    def expected(self) -> Expected:
        return Expected(self.behind_blocks, min(self.block_seconds + _MORE, self.doubt_seconds), self.doubt_seconds)

    @property
    def behind_blocks(self) -> float:
        """So far below another one, a source is as good as silent."""
        return max(_BEHIND_BLOCKS, self.silence_seconds / max(self.block_seconds, _SHORTEST_BLOCK))

    @property
    def poll_seconds(self) -> float:
        """Four times as often as there are blocks, within reason."""
        return min(max(self.block_seconds / 4, _SHORTEST_POLL), _LONGEST_POLL)


def _seconds_a_block(last: Head, then: float, head: Head, now: float) -> float:
    """Many at once came late, not fast: they took as long as their headers say."""
    blocks = head.number - last.number
    told = head.timestamp - last.timestamp - _STAMP_SECONDS if blocks > 1 else 0.0
    return max(now - then, told) / blocks
