"""What Transfer logs prove: balances walked back from a known one, then told from the oldest block up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from indexer.domain.balances import Finality, net, told
from indexer.domain.chain import NATIVE, BlockRef, Holding, Transfer
from indexer.domain.history.backfill import Change
from indexer.domain.history.jobs import Anchor, anchor_at
from indexer.domain.history.mismatches import Mismatches, Span
from indexer.domain.history.trails import MOST_LOGS
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.telling.facts import HistoryRow, Joint


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
    mismatches: Mismatches = field(init=False)
    """Where logs and reads say different things, which logs that were left out would explain."""

    def __post_init__(self) -> None:
        self.mismatches = Mismatches(self.anchor)

    def step(self, change: Change) -> None:
        """Blocks come from the newest down; the anchor's own is among them."""
        number = change.block.number
        if number > self.anchor:
            return
        if number < self.anchor:
            self._meet(number, change.read)
        if not change.is_told:
            self._break(f"a Transfer log of block {number} does not say how much")
            self.mismatches.is_blind = True
        self.balance -= change.delta
        if self.balance < 0:
            self._break(f"its transfers would make it negative before block {number}")
            self.mismatches.is_sure = True

    def doubted(self, first: int, known: int | None, *, is_thorough: bool) -> tuple[Span, ...]:
        """What to ask for once more, now that the walk is above block `first` - 1, where the balance is `known`.

        A rest that nothing can be held against is doubted by who `is_thorough`: history that begins in the midst of
        another one leaves one as well.
        """
        if self.is_native:
            return ()
        differs = self.balance != (known or 0)
        is_due = self.mismatches.is_sure or (differs and (known is not None or first == 0 or is_thorough))
        return self.mismatches.at_end(first, is_due=is_due)

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
        if not self.is_native:
            self.mismatches.meet(number, differs=read != self.balance)
            if read != self.balance:
                self._break(f"at block {number} it was {read}, its transfers say {self.balance}")
        self.balance = read

    def _break(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason


def walked(anchors: Mapping[Holding, Anchor], chunks: Iterable[Sequence[Change]]) -> dict[Holding, Walk]:
    """Every balance walked back through these changes; chunks come from the newest down, as do the changes in them."""
    walks = {
        holding: Walk(anchor.number, anchor.balance, holding.token == NATIVE) for holding, anchor in anchors.items()
    }
    for changes in chunks:
        for change in reversed(changes):
            walks[change.holding].step(change)
    return walks


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
    trail: tuple[Transfer, ...] | None = ()
    """The logs since the record before, oldest first; nothing where some of them are not known."""
    opened: int | None = None
    """The block of the record that history opens with; what happened in it needs no explanation."""
    has_gap: bool = False
    """There is an older record, but nobody looked at the blocks between it and the first: history opens anew."""
    is_blind: bool = False
    """Something changed since the record before that cannot be told: live, it may have been."""

    def open(self, block: BlockRef, finality: Finality, derived: bool) -> HistoryRow | None:
        """The record to begin with, at the first block, where something was there before it (or a gap is)."""
        if not self.is_first or not (self.held or (self.has_gap and self.held is not None)):
            return None
        if block.number >= self.anchor or block.number > self.last:
            return None
        self.is_first, self.opened = False, block.number
        return HistoryRow(block, self.held, None, (), finality, derived)

    def row(self, change: Change, finality: Finality) -> HistoryRow | None:
        """The record of this change, if it is one; nothing of it may be at the anchor or above `last`."""
        number = change.block.number
        if number >= self.anchor:
            return None
        balance = self._after(change)
        if balance is None:
            self.trail, self.is_blind = None, True
            return None
        before, self.held, self.is_blind = self.held, balance, False
        is_unknown = before is None and self.is_first and not self.has_gap
        # Nothing is no news where nobody knows of anything before it, unless it was moved out just here.
        is_same = not balance and not change.delta if is_unknown else balance == before
        if number > self.last or is_same:
            self._carry(change)
            return None
        is_first, self.is_first = self.is_first, False
        step = None if is_first or before is None else balance - before
        logs, unexplained = self._explained(change.holding, step, change)
        return HistoryRow(
            change.block, balance, step, change.transactions, finality, change.read is None, logs, unexplained
        )

    def joint(self, anchor: Anchor, change: Change | None, holding: Holding) -> Joint | None:
        """What the record at the anchor was changed by, now that another one is before it.

        `change` is its own block's.
        """
        if self.is_first or self.held is None:
            return None
        step = anchor.balance - self.held
        # One that knows what was before it is told anew only where that is another record now.
        if not anchor.is_open and (self.is_blind or anchor.change in (None, step)):
            return None
        if self.trail is None and anchor.change == step and holding.token != NATIVE:
            return None  # where it knows what its logs leave, nobody here does
        logs, unexplained = self._explained(holding, step, change)
        transactions = () if change is None else change.transactions
        return Joint(anchor.number, step, transactions, logs, unexplained, anchor.hash)

    def cross(self, record: BalanceRecord, change: Change) -> Joint | None:
        """A record that is there already: what it changed, where it does not know; what comes next follows on it."""
        anchor = anchor_at(record)
        joint = self.joint(anchor, change, change.holding)
        self.held, self.is_first, self.trail, self.is_blind = record.balance, False, (), False
        return joint

    def _after(self, change: Change) -> int | None:
        if change.read is not None:
            return change.read
        return self.held + change.delta if self.is_proven and self.held is not None else None

    def _carry(self, change: Change) -> None:
        """Logs that led to no record: the next one accounts for them."""
        if self.is_first or self.trail is None or change.block.number == self.opened:
            return
        self.trail = (*self.trail, *told(change.logs))
        if len(self.trail) > MOST_LOGS:
            self.trail = None

    def _explained(
        self, holding: Holding, step: int | None, change: Change | None
    ) -> tuple[tuple[Transfer, ...], int | None]:
        """All logs since the record before, and the part of the step that they leave."""
        here = () if change is None else told(change.logs)
        trail, self.trail = self.trail, ()
        if holding.token == NATIVE:
            return (), None
        if step is None or trail is None:
            return here, None
        return (*trail, *here), step - net(trail, holding.solver) - (0 if change is None else change.delta)
