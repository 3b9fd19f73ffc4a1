"""History that was before us: how much to ask for at once, and what was found.

Logs are collected from the newest block down, so that each walk (`walks.py`) starts at a balance that is known.
Nothing is derived before the walk has ended, at nothing or at a value that is known: then records are told from the
oldest block up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from indexer.domain.balances import net
from indexer.domain.chain import Address, BlockRef, Holding, Transfer, TxHash

_MOST_BLOCKS: Final = 100_000
_MANY_LOGS: Final = 1_000
"""An answer of half a megabyte or more: with as many in one, a range is not made wider."""
_SLOW_SECONDS: Final = 1.0
_CALM: Final = 16


class Moved(NamedTuple):
    """A Transfer log with its block, as a range of blocks tells it."""

    block: BlockRef
    transfer: Transfer


@dataclass(frozen=True, slots=True)
class Stride:
    """How many blocks to ask for at once: halved when refused, then wider by and by, up to what once was refused."""

    blocks: int = 256
    refused: int = _MOST_BLOCKS + 1
    answers: int = 0

    def narrower(self, tried: int) -> Stride:
        return Stride(max(1, tried // 2), max(2, tried))

    def wider(self, logs: int, seconds: float) -> Stride:
        """Doubled while nothing was refused near; close to a refusal, tried again only after many good answers."""
        if seconds > _SLOW_SECONDS:
            return replace(self, blocks=max(1, self.blocks // 2), answers=0)
        if logs > _MANY_LOGS:
            return self
        if self.blocks * 2 < self.refused:
            return replace(self, blocks=min(_MOST_BLOCKS, self.blocks * 2), answers=0)
        if self.answers < _CALM:
            return replace(self, answers=self.answers + 1)
        return Stride(min(_MOST_BLOCKS, self.blocks + max(1, self.blocks // 8)), self.refused * 2)


class Native(NamedTuple):
    """A native balance as it was read at this block."""

    block: BlockRef
    holding: Holding
    balance: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """What was found out about blocks `first` to `last`: watched transfers, and balances read where there is state.

    `unread` is the highest block at which the node had no state any more, from which on nobody asks it.
    """

    first: int
    last: int
    moved: tuple[Moved, ...] = ()
    reads: Mapping[int, Mapping[Holding, int]] = field(default_factory=dict)
    natives: tuple[Native, ...] = ()
    unread: int | None = None

    def up_to(self, last: int) -> Chunk:
        """The part of it that a piece right above leaves."""
        if last >= self.last:
            return self
        return Chunk(
            self.first,
            last,
            tuple(each for each in self.moved if each.block.number <= last),
            {number: values for number, values in self.reads.items() if number <= last},
            tuple(each for each in self.natives if each.block.number <= last),
            self.unread,
        )


_NO_READS: Final[Mapping[Holding, int]] = {}


class Change(NamedTuple):
    """What one block's transfers did to one balance; `read` is the balance after it, where that could be asked."""

    holding: Holding
    block: BlockRef
    delta: int
    read: int | None
    logs: tuple[Transfer, ...] = ()
    """In the block's order."""

    @property
    def is_told(self) -> bool:
        """Whether its logs say how much; else nothing can be walked back across them."""
        return all(log.amount is not None for log in self.logs)

    @property
    def transactions(self) -> tuple[TxHash, ...]:
        if len(self.logs) == 1:
            return (self.logs[0].transaction,)
        return tuple(dict.fromkeys([log.transaction for log in self.logs]))


def changes_of(chunk: Chunk, holdings: frozenset[Holding]) -> list[Change]:
    """In the order of blocks, as the chunk has them."""
    changes: list[Change] = []
    for block, logs in _by_block(chunk.moved):
        found: dict[tuple[str, str], list[Transfer]] = {}
        for log in logs:
            # Plain tuples are equal to holdings and cheap: of most logs only one side is ours.
            sender, recipient = (log.token, log.sender), (log.token, log.recipient)
            if sender in holdings:
                found.setdefault(sender, []).append(log)
            if recipient in holdings and recipient != sender:
                found.setdefault(recipient, []).append(log)
        reads = chunk.reads.get(block.number, _NO_READS)
        for key in sorted(found):
            holding, ours = Holding(key[0], Address(key[1])), found[key]
            changes.append(Change(holding, block, net(ours, holding.solver), reads.get(holding), tuple(ours)))
    if chunk.natives:
        changes += [Change(native.holding, native.block, 0, native.balance) for native in chunk.natives]
        changes.sort(key=lambda change: (change.block.number, change.holding))
    return changes


def _by_block(moved: Sequence[Moved]) -> Iterator[tuple[BlockRef, list[Transfer]]]:
    """Logs come in the order of blocks."""
    logs: list[Transfer] = []
    block: BlockRef | None = None
    for here, log in moved:
        if block is not None and here is not block and here.number != block.number:
            yield block, logs
            logs = []
        block = here
        logs.append(log)
    if block is not None:
        yield block, logs
