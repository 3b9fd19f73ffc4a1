"""Which blocks of a chain are settled, and which of those with records got there last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Literal

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import BlockRef
from indexer.domain.following.finality import Settled
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, ChainFinalized, StreamResync

MOST_BLOCKS: Final = 10_000
"""Blocks with records that wait to be settled; older ones are looked up in history."""

LEVELS: Final[tuple[Literal["safe", "finalized"], ...]] = ("safe", "finalized")

Lookup = Callable[[int], Awaitable[BlockRef | None]]


class Settling:
    """Advances are facts of the newest block with records; a reorg takes the numbers back."""

    def __init__(self, chain_id: int, stored_block: Lookup) -> None:
        self.now = Settled()
        self._chain_id = chain_id
        self._stored_block = stored_block
        self._waiting: dict[int, BlockRef] = {}
        self._top = 0
        """The block of the newest commit."""
        self._complete_above: int | None = None
        """Every record above this block is among those waiting; below it, history is asked."""

    @property
    def known(self) -> Settled | None:
        return None if self.now == Settled() else self.now

    def take_over(self, commits: Iterable[Commit]) -> None:
        """What earlier lives committed, oldest first."""
        for commit in commits:
            self.remember(commit)
            if commit.checkpoint is not None and commit.checkpoint.settled is not None:
                self.now = commit.checkpoint.settled

    def remember(self, commit: Commit) -> None:
        if commit.checkpoint is not None:
            self._top = commit.checkpoint.head.number
        for fact in commit.facts:
            match fact:
                case BalanceReverted(anchor=False):
                    self._cut(fact.block.number)
                case BalanceReverted():
                    self._cut(fact.block.number)
                    self._wait(fact.block)
                case BalanceUpdated():
                    self._wait(fact.block)
                case StreamResync(above=int(above)):
                    self._cut(above)
                    self._wait(fact.block)
                case StreamResync() if fact.confirmed:
                    self._wait(fact.block)
                case _:
                    pass

    def roll_back(self, number: int) -> None:
        """A reorg to this block: what is built on it has to be settled anew."""
        self.now = self.now.up_to(number)
        self._cut(number)

    async def advance(self, settled: Settled) -> tuple[ChainFinalized, ...]:
        """One fact per level that a block with records got to, for the newest such block."""
        facts = []
        for level in LEVELS:
            before, after = getattr(self.now, level), getattr(settled, level)
            block = await self._newest(before, after) if after > before else None
            if block is not None and block.number > before:
                facts.append(ChainFinalized(self._chain_id, block, level))
        self.now = settled
        self._waiting = {number: block for number, block in self._waiting.items() if number > settled.finalized}
        return tuple(facts)

    async def _newest(self, told: int, number: int) -> BlockRef | None:
        """Memory holds what this life committed or read from the log; what is older has been projected long ago."""
        here = max((waiting for waiting in self._waiting if waiting <= number), default=None)
        complete_above = self._complete_above
        if complete_above is None:
            return await self._stored_block(number)
        if here is not None and here > complete_above:
            return self._waiting[here]
        if told >= complete_above:
            return None
        # Above that, history may still show rows of a branch that was just taken back.
        stored = await self._stored_block(min(number, complete_above))
        late = None if here is None else self._waiting[here]
        return max((block for block in (late, stored) if block is not None), key=_number, default=None)

    def _wait(self, block: BlockRef) -> None:
        if self._complete_above is None:
            # A native balance that was searched is of an older block than what was told before.
            self._complete_above = max(block.number, self._top) - 1
        if block.number not in self._waiting:
            if len(self._waiting) >= MOST_BLOCKS:
                oldest = min(self._waiting)
                self._complete_above = max(oldest, self._complete_above)
                del self._waiting[oldest]
            self._waiting[block.number] = block

    def _cut(self, number: int) -> None:
        """Nothing above is left, so that all that comes there from now on will be in memory."""
        if self._complete_above is None or number < self._complete_above:
            self._complete_above = number
        if max(self._waiting, default=number) > number:
            self._waiting = {waiting: block for waiting, block in self._waiting.items() if waiting <= number}


def _number(block: BlockRef) -> int:
    return block.number
