"""At which blocks native balances were read, as far as a reorg may go back to them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NativeReadings:
    """The blocks at which all of them were read, oldest first: in between, nobody knows what they were."""

    blocks: tuple[int, ...] = ()

    @property
    def newest(self) -> int:
        return self.blocks[-1] if self.blocks else 0

    def at(self, number: int, lowest: int) -> NativeReadings:
        """One more; no reorg goes below `lowest`."""
        return NativeReadings(
            (*self.blocks[bisect_left(self.blocks, lowest) : bisect_left(self.blocks, number)], number)
        )

    def cut(self, ancestor: int, lowest: int) -> NativeReadings:
        """What was read above the ancestor of a reorg was read on another branch.

        Where nothing is left, the last one was below the `lowest` block that is remembered: what was recorded since is
        not known further down than there.
        """
        left = self.blocks[: bisect_right(self.blocks, ancestor)]
        return NativeReadings(left or (min(ancestor, lowest),)) if self.blocks else self
