"""What queries read, and how commits fold into it: repeatable, and conflated over many commits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from indexer.domain.accounts.facts import AssetChanged, AssetUpdated, FundingPaid, PositionUpdated
from indexer.domain.accounts.records import AccountProjection
from indexer.domain.balances import BalanceUpdated, Cause, Finality
from indexer.domain.chain import NATIVE, BlockHash, BlockRef, Holding, TokenInfo, Transfer, TxHash
from indexer.domain.following.finality import Settled
from indexer.domain.recording.gaps import Gap, gap_of
from indexer.domain.recording.holes import Apart, Loose, Rejoined, Reread
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, HistoryFilled, Joint, StreamResync


@dataclass(frozen=True, slots=True)
class BalanceRecord:
    """One balance at one block; `seq` is the event's that told it, in the chain's stream."""

    chain_id: int
    holding: Holding
    balance: int
    block: BlockRef
    change: int | None
    cause: Cause
    info: TokenInfo
    seq: int
    transactions: tuple[TxHash, ...] = ()
    finality: Finality = "latest"
    derived: bool = False
    transfers: tuple[Transfer, ...] = ()
    unexplained: int | None = None
    joined: bool = False
    """History was filled right below it: what it changed happened at its block, however it was found."""
    apart: bool = False
    """Nobody looked at the blocks right before: there is a hole below it, unless it was filled since."""

    def holds_until(self, following: BalanceRecord) -> int:
        """The last block for which this is known to hold, given the next record.

        What no log explains of a token's difference may be as old as the block after this one, like one that was found
        by reading again; and so may be one of which nobody knows all logs.
        """
        is_explained = self.holding.token == NATIVE or following.unexplained == 0
        return following.block.number - 1 if is_explained and not following.was_found_late else self.block.number

    @property
    def was_found_late(self) -> bool:
        """No log of its own block need have led to it: it was found by reading again, and may be as old as can be.

        Not where history was filled right below it, nor where no difference was found and all logs since the one before
        are known: they are none, either.
        """
        is_known = self.joined or (self.change == 0 and self.unexplained == 0)
        return self.cause in FOUND_LATE and not is_known

    @property
    def is_open(self) -> bool:
        """It knows the one before it from filled history alone, if at all: that may be filled again."""
        return self.change is None or self.joined or self.apart or self.cause in JOINED

    def on(self, joint: Joint) -> BalanceRecord:
        """With an older neighbour; one that was first of all is so no more, and has the cause of its change.

        Of a native balance every block in between was read; of a token silence proves nothing.
        """
        row = replace(self, change=joint.change, transfers=joint.transfers, unexplained=joint.unexplained)
        if joint.transactions:
            return replace(row, cause="transfer", transactions=joint.transactions, joined=True)
        if self.cause in placed_causes(self.holding):
            return replace(row, cause=cause_over(self.holding, joint.change), joined=True)
        return replace(row, joined=True) if self.holding.token == NATIVE else row

    def upon(self, older: BalanceRecord | None) -> BalanceRecord:
        """In the place of what was read at this very block before, and said something else.

        What led to that one happened in the block as well: this one tells of it all, from the record below.
        """
        if older is None or older.block.hash != self.block.hash or not HISTORY_SEQ < older.seq <= self.seq:
            return self
        if self.change is None or self.cause == "resync" or self.apart:
            return self
        if older.seq == self.seq:
            return older  # a projection that is repeated: what it told before may be in it by now
        is_explained = older.unexplained is not None and self.unexplained is not None
        return replace(
            self,
            change=None if older.change is None else older.change + self.change,
            cause=older.cause,
            transactions=tuple(dict.fromkeys((*older.transactions, *self.transactions))),
            transfers=tuple(dict.fromkeys((*older.transfers, *self.transfers))),
            unexplained=(older.unexplained or 0) + (self.unexplained or 0) if is_explained else None,
            joined=older.joined,
            apart=older.apart,
        )


def placed_causes(holding: Holding) -> tuple[Cause, ...]:
    """Of records that have the cause of their change, once history is filled right below them."""
    return ("first", "sync", "native") if holding.token == NATIVE else ("first",)


def cause_over(holding: Holding, change: int) -> Cause:
    """Without a log at its block: a native change that happened there, or what reading it found."""
    return "native" if holding.token == NATIVE and change else "sync"


JOINED: Final = ("first", "resync")
"""Causes of records that know the one before them from filled history alone, if at all."""

HISTORY_SEQ: Final = 0
"""Of records that were before us: below every number of the chain's stream, so that what was heard live stays."""

FOUND_LATE: Final = ("first", "sync", "refresh", "resync")
"""Causes of records that no log of their own block need have led to."""


class RecordKey(NamedTuple):
    """Unique by index: one record per balance and block number."""

    chain_id: int
    holding: Holding
    number: int


def key_of(record: BalanceRecord) -> RecordKey:
    return RecordKey(record.chain_id, record.holding, record.block.number)


class HoldingKey(NamedTuple):
    """Unique by index: one current balance per holding."""

    chain_id: int
    holding: Holding


class Cut(NamedTuple):
    """Every record above this block number, told before this `seq`, is orphaned."""

    above: int
    seq: int


class Void(NamedTuple):
    """Records of history (their `seq` is 0) of these blocks, which a reorg took back before new ones came."""

    chain_id: int
    holding: Holding
    first: int
    last: int

    @property
    def end(self) -> RecordKey:
        """Where its last block is."""
        return RecordKey(self.chain_id, self.holding, self.last)

    def may_part(self, key: RecordKey) -> bool:
        """Whether the record there may count its change from one that is taken back."""
        is_its = (key.chain_id, key.holding) == (self.chain_id, self.holding)
        return is_its and self.first <= key.number <= self.last + 1

    def has(self, record: BalanceRecord) -> bool:
        is_its = (record.chain_id, record.holding, record.seq) == (self.chain_id, self.holding, HISTORY_SEQ)
        return is_its and self.first <= record.block.number <= self.last


class Filled(NamedTuple):
    """Blocks of which all of a balance's history is told."""

    chain_id: int
    holding: Holding
    first: int
    last: int

    def has_within(self, record: BalanceRecord) -> bool:
        """Above its first block, so that something may be below it."""
        is_its = (record.chain_id, record.holding) == (self.chain_id, self.holding)
        return is_its and self.first < record.block.number <= self.last


class Settling(NamedTuple):
    """How far a chain was settled when its event number `seq` was told."""

    settled: Settled
    seq: int


@dataclass(slots=True)
class Projection:
    """What to write, in this order: delete orphaned records, insert new ones, replace current balances."""

    orphaned: dict[tuple[int, BlockHash], int] = field(default_factory=dict)
    """Chain id and hash of blocks that a reorg took back, with their numbers, by which history is indexed."""
    cuts: dict[int, Cut] = field(default_factory=dict)
    """By chain id: what a reorg deeper than the window took back."""
    records: dict[RecordKey, BalanceRecord] = field(default_factory=dict)
    current: dict[HoldingKey, BalanceRecord] = field(default_factory=dict)
    restored: set[HoldingKey] = field(default_factory=set)
    """Current balances for which an older record of history holds again: that record is the current one."""
    settled: dict[int, Settling] = field(default_factory=dict)
    """By chain id; the newest counts, also where a reorg made it lower."""
    voided: set[Void] = field(default_factory=set)
    joints: dict[RecordKey, Joint] = field(default_factory=dict)
    """Last of all: records that were the oldest and are not any more."""
    ends: set[RecordKey] = field(default_factory=set)
    """The last blocks of what is filled in of each balance, where it does not reach up to the record above."""
    filled: set[Filled] = field(default_factory=set)
    """Who was told in the midst of these while they were read, as the oldest there is, is not any more."""
    gaps: list[Gap] = field(default_factory=list)
    """What was passed over: it is ordered to be filled."""
    holes: list[Apart | Loose | Reread | Rejoined] = field(default_factory=list)
    """Oldest first: where holes come, which are filled where all of history is, and where they go."""
    accounts: AccountProjection = field(default_factory=AccountProjection)


def read_anew(projection: Projection) -> list[BalanceRecord]:
    """Written before a cut, and once more after it, when it is known from which record they count.

    In between, older records than those that are cut off would seem to be the newest.
    """
    return [row for key, row in projection.records.items() if row.cause == "resync" and key.chain_id in projection.cuts]


def fold(commits: Iterable[Commit]) -> Projection:
    """Commits of one or many streams, each stream's in order, as one set of writes."""
    projection = Projection()
    cut_for: dict[BlockHash, bool] = {}
    """By the block of a resync whether history was cut off for it."""
    for commit in commits:
        for seq, fact in enumerate(commit.facts, commit.first_seq):
            match fact:
                case BalanceUpdated():
                    _update(projection, fact, seq, cut_for.get(fact.block.hash))
                case BalanceReverted():
                    _take_back(projection, fact, seq)
                case StreamResync():
                    _cut(projection, fact, seq)
                    cut_for[fact.block.hash] = fact.above is not None
                    _confirm(projection, fact, seq)
                    gap = gap_of(fact, seq, commit.time)
                    if gap is not None:
                        projection.gaps.append(gap)
                case HistoryFilled():
                    _fill(projection, fact)
                case AssetUpdated() | AssetChanged() | PositionUpdated() | FundingPaid():
                    projection.accounts.add(fact, seq, commit.time)
                case _:
                    pass
        if commit.checkpoint is not None and commit.checkpoint.settled is not None and commit.chain_id is not None:
            projection.settled[commit.chain_id] = Settling(commit.checkpoint.settled, commit.last_seq)
    return projection


def _update(projection: Projection, fact: BalanceUpdated, seq: int, has_cut: bool | None) -> None:
    """After a cut its change counts from the record that is left, which only the store knows.

    A resync of too many balances for one commit is told in the first of several: of the others nobody can tell.
    """
    record = record_of(fact, seq)
    is_read_anew = record.cause == "resync" and has_cut is not False
    _add(projection, replace(record, change=None) if is_read_anew else record)
    if fact.apart:  # which reaches further down than what a cut leaves open
        known = -1 if fact.known_to is None else fact.known_to
        projection.holes.append(Apart(fact.chain_id, fact.holding, fact.block.number, seq, known))
    elif is_read_anew and has_cut:
        projection.holes.append(Reread(fact.chain_id, fact.holding, fact.block.number, seq))


def record_of(fact: BalanceUpdated, seq: int) -> BalanceRecord:
    return BalanceRecord(
        chain_id=fact.chain_id,
        holding=fact.holding,
        balance=fact.balance,
        block=fact.block,
        change=fact.change,
        cause=fact.cause,
        info=fact.info,
        seq=seq,
        transactions=fact.transactions,
        transfers=fact.transfers,
        unexplained=fact.unexplained,
        apart=fact.apart,
    )


def restored(fact: BalanceReverted, seq: int) -> BalanceRecord:
    """What holds at the common ancestor, as a row of its own where history has none at that block."""
    return BalanceRecord(
        chain_id=fact.chain_id,
        holding=fact.holding,
        balance=fact.balance,
        block=fact.block,
        change=None,
        cause="resync",
        info=fact.info,
        seq=seq,
    )


def history_of(fact: HistoryFilled) -> Iterator[BalanceRecord]:
    for row in fact.rows:
        yield BalanceRecord(
            chain_id=fact.chain_id,
            holding=fact.holding,
            balance=row.balance,
            block=row.block,
            change=row.change,
            cause="native" if fact.holding.token == NATIVE and row.cause == "transfer" else row.cause,
            info=fact.info,
            seq=HISTORY_SEQ,
            transactions=row.transactions,
            finality=row.finality,
            derived=row.derived,
            transfers=row.transfers,
            unexplained=row.unexplained,
        )


def _fill(projection: Projection, fact: HistoryFilled) -> None:
    holding = HoldingKey(fact.chain_id, fact.holding)
    if fact.void:
        void = Void(*holding, fact.first, fact.last)
        projection.voided.add(void)
        for key in [key for key, record in projection.records.items() if void.has(record)]:
            del projection.records[key]
        for key in [key for key in projection.joints if void.may_part(key)]:
            del projection.joints[key]
    elif fact.rows:
        projection.filled.add(Filled(*holding, fact.first, fact.last))
    for record in history_of(fact):
        # What was heard live stays, where both are about to be written.
        projection.records.setdefault(RecordKey(*holding, record.block.number), record)
    if fact.joint is not None:
        projection.joints[RecordKey(*holding, fact.joint.number)] = fact.joint
    elif fact.final:
        projection.ends.add(RecordKey(*holding, fact.last))


def _add(projection: Projection, record: BalanceRecord) -> None:
    if record.cause == "first":
        projection.holes.append(Loose(record.chain_id, record.holding, record.block.number, record.seq))
    key = key_of(record)
    record = record.upon(projection.records.get(key))
    projection.records[key] = record
    projection.current[HoldingKey(record.chain_id, record.holding)] = record
    projection.restored.discard(HoldingKey(record.chain_id, record.holding))


def _take_back(projection: Projection, fact: BalanceReverted, seq: int) -> None:
    for number, block in fact.left:
        projection.orphaned[fact.chain_id, block] = number
    if fact.left:
        left = {block for _, block in fact.left}
        for key in [key for key, record in projection.records.items() if record.block.hash in left]:
            del projection.records[key]
    for row in fact.orphaned:
        projection.orphaned[fact.chain_id, row.hash] = row.number
        key = RecordKey(fact.chain_id, fact.holding, row.number)
        pending = projection.records.get(key)
        if pending is not None and pending.block.hash == row.hash:
            del projection.records[key]
    above = fact.block.number
    projection.holes.append(Rejoined(fact.chain_id, fact.holding, above, above if fact.anchor else above + 1, seq))
    record = restored(fact, seq)
    if fact.anchor:
        _add(projection, record)
    else:
        projection.current[HoldingKey(fact.chain_id, fact.holding)] = record
        projection.restored.add(HoldingKey(fact.chain_id, fact.holding))


def _cut(projection: Projection, fact: StreamResync, seq: int) -> None:
    above = fact.above
    if above is None or fact.more:
        return
    projection.holes.append(Rejoined(fact.chain_id, None, above, fact.block.number, seq))
    earlier = projection.cuts.get(fact.chain_id, Cut(above, seq))
    projection.cuts[fact.chain_id] = Cut(min(above, earlier.above), seq)
    for key in [key for key in projection.records if key.chain_id == fact.chain_id and key.number > above]:
        del projection.records[key]


def _confirm(projection: Projection, fact: StreamResync, seq: int) -> None:
    for confirmed in fact.confirmed:
        _add(
            projection,
            BalanceRecord(
                chain_id=fact.chain_id,
                holding=confirmed.holding,
                balance=confirmed.balance,
                block=fact.block,
                change=0 if fact.above is None else None,
                cause="resync",
                info=confirmed.info,
                seq=seq,
            ),
        )
        if fact.above is not None:
            projection.holes.append(Reread(fact.chain_id, confirmed.holding, fact.block.number, seq))
