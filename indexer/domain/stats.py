"""Statistics over a balance's records, in exact integers, one record at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stats:
    """Raw amounts; `average` is the mean of the records, rounded towards zero."""

    count: int
    first: int
    last: int
    minimum: int
    maximum: int
    average: int

    @property
    def change(self) -> int:
        return self.last - self.first


@dataclass(slots=True)
class Tally:
    """Takes balances oldest first and keeps nothing but the sums."""

    count: int = 0
    first: int = 0
    last: int = 0
    minimum: int = 0
    maximum: int = 0
    total: int = 0

    def add(self, balance: int) -> None:
        if self.count == 0:
            self.first = self.minimum = self.maximum = balance
        self.minimum = min(self.minimum, balance)
        self.maximum = max(self.maximum, balance)
        self.last = balance
        self.total += balance
        self.count += 1

    def stats(self) -> Stats | None:
        """Nothing where nothing was counted: absent is not zero."""
        if self.count == 0:
            return None
        return Stats(self.count, self.first, self.last, self.minimum, self.maximum, self.total // self.count)


def stats_of(balances: Iterable[int]) -> Stats | None:
    tally = Tally()
    for balance in balances:
        tally.add(balance)
    return tally.stats()
