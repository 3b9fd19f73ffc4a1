"""History that was before us: how much to ask for at once, and what Transfer logs prove about balances.

Logs are collected from the newest block down, so that each walk starts at a balance that is known. Nothing is derived
before the walk has ended, at nothing or at a value that is known: then records are told from the oldest block up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from indexer.domain.balances import Finality
from indexer.domain.chain import NATIVE, BlockRef, Holding, Transfer, TxHash
from indexer.domain.facts import HistoryRow
from indexer.domain.jobs import Anchor

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


class Change(NamedTuple):
    """What one block's transfers did to one balance; `read` is the balance after it, where that could be asked."""

    holding: Holding
    block: BlockRef
    delta: int
    transactions: tuple[TxHash, ...]
    read: int | None


def changes_of(chunk: Chunk, holdings: frozenset[Holding]) -> list[Change]:
    """In the order of blocks."""
    found: dict[tuple[int, Holding], tuple[BlockRef, int, dict[TxHash, None]]] = {}
    for block, transfer in chunk.moved:
        for wallet, amount in ((transfer.sender, -transfer.amount), (transfer.recipient, transfer.amount)):
            holding = Holding(transfer.token, wallet)
            if holding not in holdings:
                continue
            key = (block.number, holding)
            _, delta, transactions = found.get(key, (block, 0, {}))
            transactions[transfer.transaction] = None
            found[key] = (block, delta + amount, transactions)
    changes = [
        Change(holding, block, delta, tuple(transactions), chunk.reads.get(number, {}).get(holding))
        for (number, holding), (block, delta, transactions) in found.items()
    ]
    changes += [Change(native.holding, native.block, 0, (), native.balance) for native in chunk.natives]
    changes.sort(key=lambda change: (change.block.number, change.holding))
    return changes


@dataclass(slots=True)
class Walk:
    """One balance, walked back: `balance` is what it was right after the block that the walk has come down to.

    `anchor` is the block of the oldest record, at which the balance is known.
    """

    anchor: int
    balance: int
    is_native: bool = False
    reason: str | None = None
    derived: int = 0
    """So many changes have no read beside them."""
    is_proven: bool = False
    opening: int | None = None
    """What it was before the first block; nothing where that is not known."""

    def step(self, change: Change) -> None:
        """Blocks come from the newest down; the anchor's own is among them."""
        number = change.block.number
        if number > self.anchor:
            return
        if number < self.anchor:
            self._meet(number, change.read)
        self.balance -= change.delta
        if self.balance < 0:
            self._break(f"its transfers would make it negative before block {number}")

    def finish(self, first: int, known: int | None) -> None:
        """The walk is at its end, above block `first` - 1, where `known` is the balance if anybody knows it."""
        if not self.derived:
            # Every record was read: there is nothing to prove.
            self.reason = None
            self.opening = 0 if known is None and not self.is_native and self.balance == 0 else known
            return
        if known is not None and known != self.balance:
            self._break(f"before block {first} it was {known}, its transfers say {self.balance}")
        elif known is None and self.balance:
            self._break(
                f"its transfers leave {self.balance} before block {first}, where the node has no state to check that;"
                " fill from an earlier block, or from an archive node"
            )
        self.is_proven = self.reason is None
        self.opening = self.balance if self.is_proven else None

    def _meet(self, number: int, read: int | None) -> None:
        if read is None:
            self.derived += 1
            return
        if read != self.balance and not self.is_native:
            self._break(f"at block {number} it was {read}, its transfers say {self.balance}")
        self.balance = read

    def _break(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason


@dataclass(slots=True)
class Teller:
    """The same balance from the oldest block up, as records; without proof, only what was read."""

    anchor: int
    last: int
    is_proven: bool
    held: int | None
    """What it is before the next change; nothing before the first record of all."""
    is_first: bool = True
    """There is no older record."""

    def open(self, block: BlockRef, finality: Finality, derived: bool) -> HistoryRow | None:
        """The record to begin with, at the first block, where something was there before it."""
        if not self.is_first or not self.held or block.number >= self.anchor or block.number > self.last:
            return None
        self.is_first = False
        return HistoryRow(block, self.held, None, (), finality, derived)

    def row(self, change: Change, finality: Finality) -> HistoryRow | None:
        """The record of this change, if it is one; nothing of it may be at the anchor or above `last`."""
        number = change.block.number
        if number >= self.anchor:
            return None
        balance = self._after(change)
        if balance is None:
            return None
        before, self.held = self.held, balance
        # Nothing is no news where nobody knows of anything before it.
        if number > self.last or balance == (before or 0 if self.is_first else before):
            return None
        is_first, self.is_first = self.is_first, False
        step = None if is_first or before is None else balance - before
        return HistoryRow(change.block, balance, step, change.transactions, finality, change.read is None)

    def _after(self, change: Change) -> int | None:
        if change.read is not None:
            return change.read
        return self.held + change.delta if self.is_proven and self.held is not None else None


def finality_of(number: int, safe: int, finalized: int) -> Finality:
    return "finalized" if number <= finalized else "safe" if number <= safe else "latest"


def walked(anchors: Mapping[Holding, Anchor], chunks: Iterable[Sequence[Change]]) -> dict[Holding, Walk]:
    """Every balance walked back through these changes; chunks come from the newest down, as do the changes in them."""
    walks = {
        holding: Walk(anchor.number, anchor.balance, holding.token == NATIVE) for holding, anchor in anchors.items()
    }
    for changes in chunks:
        for change in reversed(changes):
            walks[change.holding].step(change)
    return walks
