"""What the oracle holds `chain.finalized` and the settled numbers against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, BlockRef
from indexer.domain.following.finality import Settled
from indexer.domain.recording.records import HISTORY_SEQ
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, ChainFinalized, Fact, StreamResync
from tests.sim.store import Kept
from tests.sim.world import CHAIN_ID, World


@dataclass
class Told:
    """By level the newest block that was told, and up to which number everything is covered."""

    blocks: dict[str, BlockRef] = field(default_factory=dict)
    covered: dict[str, int] = field(default_factory=lambda: {"safe": -1, "finalized": -1})
    news: dict[str, set[BlockRef]] = field(default_factory=lambda: {"safe": set(), "finalized": set()})
    """By level blocks that got records since the last cut and are not told. One may be covered by number and not by
    itself: a reorg that takes back no record is not told, and what it puts there may have one."""

    def hear(self, fact: Fact) -> Iterator[str]:
        match fact:
            case ChainFinalized():
                if fact.block.number <= self.covered[fact.level] and fact.block not in self.news[fact.level]:
                    yield f"{fact.level} {fact.block.number} was told after {self.covered[fact.level]}"
                self.news[fact.level] = {block for block in self.news[fact.level] if block.number > fact.block.number}
                self.blocks[fact.level], self.covered[fact.level] = fact.block, fact.block.number
            case BalanceUpdated():
                for news in self.news.values():
                    news.add(fact.block)
            case BalanceReverted():
                self._cut(fact.block.number)
            case StreamResync(above=int(above)):
                self._cut(above)
            case _:
                pass

    def _cut(self, number: int) -> None:
        self.news = {level: set() for level in self.news}
        self.blocks = {level: block for level, block in self.blocks.items() if block.number <= number}
        self.covered = {level: min(covered, number) for level, covered in self.covered.items()}


def _was_never(world: World, block: BlockRef) -> bool:
    """No reorg takes a finalized block back, not even for a while; before a node called it so, depth alone counts."""
    is_final = block.number <= world.final and block.hash not in world.deep_orphans
    return is_final and not world.is_canonical(block.hash)


def finality_is_true(world: World, kept: Kept, *, natives_are_late: bool) -> Iterator[str]:
    """What is told as settled has records and is told once, unless a reorg took it back; nothing is left out.

    With `natives_are_late`, a change of a native balance may be searched and found in a block that is settled already.
    """
    told = Told()
    for commit in kept.commits:
        for fact in commit.facts:
            yield from told.hear(fact)
            if isinstance(fact, ChainFinalized) and fact.level == "finalized" and _was_never(world, fact.block):
                yield f"{fact.block} was told as finalized, another block of that number is"
    for level, block in told.blocks.items():
        if not world.is_canonical(block.hash):
            yield f"{block} is told as {level} and is orphaned"
    settled = kept.settlings[CHAIN_ID].settled if CHAIN_ID in kept.settlings else Settled()
    if not settled.finalized <= settled.safe <= world.tip.number:
        yield f"{settled} at tip {world.tip.number}"
    for level, number in (("safe", settled.safe), ("finalized", settled.finalized)):
        recorded = _to_be_told(kept, level, natives_are_late=natives_are_late)
        newest = max((block for block in recorded if block <= number), default=-1)
        if newest > told.covered[level]:
            yield f"block {newest} got {level}, told was {told.covered[level]}"


def _to_be_told(kept: Kept, level: str, *, natives_are_late: bool) -> set[int]:
    """Blocks with records that were less sure when they got them: of the others all answers say so from then on.

    What a reorg left at the common ancestor may be written where that block is settled already, too.
    """
    left = {
        seq
        for commit in kept.commits
        for seq, fact in enumerate(commit.facts, commit.first_seq)
        if isinstance(fact, BalanceReverted) or (isinstance(fact, BalanceUpdated) and _was(level, fact, commit))
    }
    return {
        row.block.number
        for row in kept.records.values()
        if row.seq != HISTORY_SEQ and row.seq not in left and not (natives_are_late and row.holding.token == NATIVE)
    }


def _was(level: str, fact: BalanceUpdated, commit: Commit) -> bool:
    settled = None if commit.checkpoint is None else commit.checkpoint.settled
    return settled is not None and fact.block.number <= getattr(settled, level)
