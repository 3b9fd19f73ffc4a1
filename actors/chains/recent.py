"""What was told lately: a reorg may take it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import BlockRef, Holding
from indexer.domain.commits import Commit
from indexer.domain.facts import BalanceReverted, Confirmed, StreamResync

Stored = Callable[[int], Awaitable[BlockRef | None]]
"""The highest block up to a number of which the store has a record."""


class Recent:
    """Updates in the order they were told; those that a reorg took back already are not among them."""

    def __init__(self) -> None:
        self.updates: list[BalanceUpdated] = []

    def above(self, number: int) -> list[BalanceUpdated]:
        return [update for update in self.updates if update.block.number > number]

    def remember(self, commit: Commit) -> None:
        """What a reorg may take back from now on, the rows that a resync confirmed included."""
        taken_back: dict[Holding, BalanceReverted] = {}
        for fact in commit.facts:
            match fact:
                case BalanceReverted():
                    taken_back[fact.holding] = fact
                case BalanceUpdated():
                    self._take_back(taken_back)
                    self.updates.append(fact)
                case StreamResync(above=above):
                    if above is not None:
                        self.updates = [update for update in self.updates if update.block.number <= above]
                    self.updates += [_confirmed(fact, row) for row in fact.confirmed]
                case _:
                    pass
        self._take_back(taken_back)

    def _take_back(self, facts: dict[Holding, BalanceReverted]) -> None:
        """All that a reorg took back at once, and no more than once: the block in its place may follow."""
        if not facts:
            return
        self.updates = [
            update
            for update in self.updates
            if update.holding not in facts or update.block.number <= facts[update.holding].block.number
        ]
        self.updates += [_as_update(fact) for fact in facts.values() if fact.anchor]
        facts.clear()

    def forget(self, number: int) -> None:
        """Drop what no reorg within the window reaches; at most half of the list is dead weight."""
        if self.updates and self.updates[len(self.updates) // 2].block.number < number:
            self.updates = [update for update in self.updates if update.block.number >= number]


class Recorded:
    """The blocks that have records: those that were projected, and those of commits that may not be projected yet."""

    def __init__(self, stored: Stored, heard: Stored, commits: Iterable[Commit]) -> None:
        self._stored = stored
        self._heard = heard
        recent = Recent()
        for commit in commits:
            recent.remember(commit)
        self._blocks = {update.block for update in recent.updates}

    async def stored_block(self, number: int) -> BlockRef | None:
        """The highest one up to `number`."""
        return self._highest(number, await self._stored(number))

    async def heard_block(self, number: int) -> BlockRef | None:
        """The highest one of which a record was heard live."""
        return self._highest(number, await self._heard(number))

    def _highest(self, number: int, projected: BlockRef | None) -> BlockRef | None:
        newest = max((block for block in self._blocks if block.number <= number), key=_number, default=None)
        return max((block for block in (newest, projected) if block is not None), key=_number, default=None)


def _number(block: BlockRef) -> int:
    return block.number


def _as_update(fact: BalanceReverted) -> BalanceUpdated:
    """The record that a reorg leaves at the common ancestor: a deeper one may take it back as well."""
    return BalanceUpdated(fact.chain_id, fact.holding, None, fact.balance, fact.block, "resync", fact.info)


def _confirmed(fact: StreamResync, row: Confirmed) -> BalanceUpdated:
    """Where nothing was cut, the record before says the same: a reorg that takes this one back leaves that."""
    previous = row.balance if fact.above is None else None
    return BalanceUpdated(fact.chain_id, row.holding, previous, row.balance, fact.block, "resync", row.info)
