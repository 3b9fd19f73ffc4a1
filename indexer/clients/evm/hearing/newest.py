"""The newest head that anybody told of one chain, and which others are far below it."""

from __future__ import annotations

from typing import Final

from indexer.domain.chain import Head

FAR_BELOW: Final = 256
"""A head that much lower than the newest comes from a node that syncs, not from a reorg."""


class Newest:
    """One that is as far above all others says nothing alone: until another one near it bears it out, those count.

    Behind an address there may be a node of another chain for once; whoever waited for its block would hear no other.
    """

    def __init__(self) -> None:
        self.head: Head | None = None
        self._borne_out: Head | None = None

    @property
    def is_borne_out(self) -> bool:
        return self.head is self._borne_out

    def is_far_below(self, head: Head) -> bool:
        return self._borne_out is not None and head.number < self._borne_out.number - FAR_BELOW

    def is_behind(self, head: Head) -> bool:
        """Whether it proves that somebody is ahead of all that counts, or beside it."""
        counted = self._borne_out
        if self.head is not None and head.hash == self.head.hash:
            return False  # that was heard
        return (
            counted is None
            or head.number > counted.number
            or (head.number == counted.number and head.hash != counted.hash)
        )

    def hear(self, head: Head) -> bool:
        """Whether it is above those that counted."""
        known, counted = self.head, self._borne_out
        self.head = head
        if known is None or head.number <= known.number + FAR_BELOW:
            self._borne_out = head
        return counted is None or head.number > counted.number
