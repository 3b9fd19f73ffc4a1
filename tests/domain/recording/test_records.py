"""Commits fold into the same rows, however they are split into batches and however often they are projected."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.balances import BalanceUpdated, changes
from indexer.domain.chain import BlockRef, Holding
from indexer.domain.recording.records import BalanceRecord, HoldingKey, Projection, RecordKey, fold
from indexer.domain.resuming.reorgs import reverts
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, Confirmed, Fact, Orphaned, StreamLive, StreamResync
from tests.domain.samples import INFO, USDC, block_at, block_hash, holding, updated

TIME = datetime(2026, 11, 21, 1, 2, 3, 456000, UTC)
HOLDINGS = [holding(index) for index in range(3)]
TOKEN = Holding(USDC, HOLDINGS[0].solver)


@dataclass
class Books:
    """Writes a projection as the repository does: delete, insert, replace; the higher number stays."""

    records: dict[RecordKey, BalanceRecord] = field(default_factory=dict)
    current: dict[HoldingKey, BalanceRecord] = field(default_factory=dict)

    def project(self, projection: Projection) -> None:
        self.records = {
            key: record
            for key, record in self.records.items()
            if (record.chain_id, record.block.hash) not in projection.orphaned
            and not (
                (cut := projection.cuts.get(record.chain_id))
                and record.block.number > cut.above
                and record.seq < cut.seq
            )
        }
        for key, record in projection.records.items():
            if key not in self.records or self.records[key].seq < record.seq:
                self.records[key] = record
        for holding_key, record in projection.current.items():
            if holding_key not in self.current or self.current[holding_key].seq < record.seq:
                self.current[holding_key] = record


@dataclass
class History:
    """A chain that grows, is reorganized and is read, and the commits that tell of it."""

    forks: int = 0
    floor: int = 0
    """Nobody looks for an ancestor below the newest resync."""
    branch: list[BlockRef] = field(default_factory=lambda: [block_at(0)])
    balances: dict[Holding, int] = field(default_factory=dict)
    recent: list[BalanceUpdated] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)

    def grow(self, values: dict[Holding, int]) -> None:
        self.branch.append(self._next())
        self._tell(changes(1, self.branch[-1], self.balances, values, (), {}))

    def reorganize(self, depth: int, values: dict[Holding, int]) -> None:
        self.forks += 1
        self.branch = self.branch[: max(self.floor + 1, len(self.branch) - depth)]
        ancestor = self.branch[-1]
        orphaned = [update for update in self.recent if update.block.number > ancestor.number]
        at_ancestor = {update.holding: values.get(update.holding, update.previous or 0) for update in orphaned}
        self._tell(reverts(orphaned, self.balances, at_ancestor, ancestor))

    def resync(self, depth: int, values: dict[Holding, int]) -> None:
        self.forks += 1
        above = max(0, len(self.branch) - 1 - depth)
        self.branch = self.branch[: above + 1]
        self.branch.append(self._next())
        self.floor = self.branch[-1].number
        updates = changes(1, self.branch[-1], self.balances, values, (), {}, "resync")
        told = {update.holding for update in updates}
        same = tuple(Confirmed(each, value, INFO) for each, value in sorted(self.balances.items()) if each not in told)
        self.recent = []
        self._tell((StreamResync(1, "deep", self.branch[-1], above, same), *updates))

    def _next(self) -> BlockRef:
        number = len(self.branch)
        return BlockRef(number, block_hash(number, "abcdef"[self.forks % 6]), number)

    def _tell(self, facts: tuple[Fact, ...]) -> None:
        if not facts:
            return
        first = self.commits[-1].last_seq + 1 if self.commits else 1
        self.commits.append(Commit(f"c{first}", "chain:1", first, TIME, facts))
        for fact in facts:
            if isinstance(fact, BalanceUpdated):
                self.recent.append(fact)
            if isinstance(fact, BalanceReverted):
                self._forget(fact)
            if isinstance(fact, BalanceUpdated | BalanceReverted):
                self.balances[fact.holding] = fact.balance

    def _forget(self, fact: BalanceReverted) -> None:
        """As the ledger does: what a reorg leaves as a record, a deeper one takes back as well."""
        self.recent = [
            each for each in self.recent if each.holding != fact.holding or each.block.number <= fact.block.number
        ]
        if fact.anchor:
            self.recent.append(BalanceUpdated(1, fact.holding, None, fact.balance, fact.block, "resync", fact.info))


VALUES = st.dictionaries(st.sampled_from(HOLDINGS), st.integers(0, 4))
STEPS = st.lists(
    st.tuples(st.sampled_from(["grow", "grow", "grow", "reorganize", "resync"]), st.integers(1, 4), VALUES), max_size=15
)


def history(steps: list[tuple[str, int, dict[Holding, int]]]) -> History:
    made = History()
    for kind, depth, values in steps:
        match kind:
            case "grow":
                made.grow(values)
            case "reorganize":
                made.reorganize(depth, values)
            case _:
                made.resync(depth, values)
    return made


def batches(commits: list[Commit], cuts: list[int]) -> list[list[Commit]]:
    edges = [0, *sorted({cut % (len(commits) + 1) for cut in cuts}), len(commits)]
    return [commits[start:stop] for start, stop in pairwise(edges)]


@given(STEPS, st.lists(st.integers(0, 30), max_size=6))
def test_batches_in_order_give_the_same_rows_as_all_at_once(
    steps: list[tuple[str, int, dict[Holding, int]]], cuts: list[int]
) -> None:
    commits = history(steps).commits
    at_once, in_batches = Books(), Books()
    at_once.project(fold(commits))
    for batch in batches(commits, cuts):
        in_batches.project(fold(batch))
    assert in_batches == at_once


@given(STEPS, st.lists(st.integers(0, 30), max_size=6), st.integers(0, 30))
def test_projecting_the_last_batches_again_changes_nothing(
    steps: list[tuple[str, int, dict[Holding, int]]], cuts: list[int], start: int
) -> None:
    commits = history(steps).commits
    once, again = Books(), Books()
    for batch in batches(commits, cuts):
        once.project(fold(batch))
        again.project(fold(batch))
    for commit in commits[start % (len(commits) + 1) :]:
        again.project(fold([commit]))
    assert again == once


@given(STEPS)
def test_no_record_of_an_orphaned_block_is_left(steps: list[tuple[str, int, dict[Holding, int]]]) -> None:
    made = history(steps)
    books = Books()
    for each in made.commits:
        books.project(fold([each]))
    assert {record.block for record in books.records.values()} <= set(made.branch)


@given(STEPS)
def test_current_rows_are_what_the_writer_holds(steps: list[tuple[str, int, dict[Holding, int]]]) -> None:
    made = history(steps)
    books = Books()
    books.project(fold(made.commits))
    assert {key.holding: record.balance for key, record in books.current.items()} == made.balances


def commit(first_seq: int, *facts: Fact, stream: str = "chain:1") -> Commit:
    return Commit(f"{stream}/{first_seq}", stream, first_seq, TIME, facts)


def reverted(number: int, balance: int, *orphans: Orphaned, anchor: bool = False) -> BalanceReverted:
    return BalanceReverted(1, holding(), 9, balance, block_at(number), INFO, orphans, anchor)


def test_a_record_carries_the_number_that_told_it() -> None:
    rows = fold([commit(41, StreamLive(1, "well", 4), updated(5, 7, 3))])
    (record,) = rows.records.values()
    assert (record.seq, record.change, record.balance, record.block) == (42, 4, 7, block_at(5))
    assert list(rows.current.values()) == [record]


def test_of_many_updates_every_record_is_kept_and_the_newest_is_current() -> None:
    rows = fold([commit(1, updated(5, 7)), commit(2, updated(6, 8, 7))])
    assert [key.number for key in rows.records] == [5, 6]
    assert [record.balance for record in rows.current.values()] == [8]


def test_a_retraction_takes_the_pending_record_back_and_names_the_block_for_those_written_before() -> None:
    rows = fold([commit(1, updated(5, 7, 1)), commit(2, reverted(4, 1, Orphaned(5, block_hash(5), 7)))])
    assert rows.records == {}
    assert rows.orphaned == {(1, block_hash(5)): 5}
    assert [(row.balance, row.block, row.seq) for row in rows.current.values()] == [(1, block_at(4), 2)]


def test_an_anchor_is_kept_as_a_record_at_the_common_ancestor() -> None:
    rows = fold([commit(1, reverted(4, 1, Orphaned(5, block_hash(5), 7), anchor=True))])
    assert [(key.number, row.balance, row.change, row.cause) for key, row in rows.records.items()] == [
        (4, 1, None, "resync")
    ]


def test_a_retraction_leaves_the_record_that_the_new_branch_has_at_the_same_number() -> None:
    new = updated(5, 8, 1, fork="b")
    rows = fold([commit(1, new), commit(2, reverted(4, 1, Orphaned(5, block_hash(5), 7)))])
    assert [row.block for row in rows.records.values()] == [new.block]


def test_a_branch_that_comes_back_has_its_record_again() -> None:
    rows = fold(
        [
            commit(1, updated(5, 7, 1)),
            commit(2, reverted(4, 1, Orphaned(5, block_hash(5), 7))),
            commit(3, updated(5, 7, 1)),
        ]
    )
    assert [(row.block.hash, row.seq) for row in rows.records.values()] == [(block_hash(5), 3)]
    assert rows.orphaned == {(1, block_hash(5)): 5}  # deleted first, inserted after


def test_chains_do_not_touch_each_other() -> None:
    other = BalanceUpdated(2, holding(), None, 5, block_at(5), "first", INFO)
    rows = fold([commit(1, other, stream="chain:2"), commit(1, reverted(4, 1, Orphaned(5, block_hash(5), 5)))])
    assert [key.chain_id for key in rows.records] == [2]


def test_a_record_holds_up_to_the_next_one_unless_that_found_something_late() -> None:
    before = BalanceRecord(1, TOKEN, 7, block_at(3), 7, "transfer", INFO, 1)
    late = BalanceRecord(1, TOKEN, 7, block_at(9), 0, "resync", INFO, 2)
    assert before.holds_until(replace(late, cause="transfer", unexplained=0)) == 8
    assert before.holds_until(late) == 3
    assert before.holds_until(replace(late, unexplained=0)) == 8, "it knows all logs in between, and they are none"
    assert before.holds_until(replace(late, change=2, unexplained=2)) == 3
    assert before.holds_until(replace(late, joined=True, unexplained=0)) == 8, "history was filled in between"


def test_a_native_balance_holds_up_to_the_next_record_where_each_block_was_read() -> None:
    before = BalanceRecord(1, HOLDINGS[0], 7, block_at(3), 7, "native", INFO, 1)
    found = replace(before, balance=9, block=block_at(9), change=2, cause="sync")
    assert before.holds_until(found) == 3
    assert before.holds_until(replace(found, cause="native")) == 8
    assert before.holds_until(replace(found, joined=True)) == 8


def test_a_record_is_not_said_to_hold_where_the_next_one_changed_by_more_than_its_logs_say() -> None:
    before = BalanceRecord(1, TOKEN, 7, block_at(3), 7, "transfer", INFO, 1)
    moved = BalanceRecord(1, TOKEN, 12, block_at(9), 5, "transfer", INFO, 2, unexplained=0)
    assert before.holds_until(moved) == 8
    for unexplained in (-5, 3):
        found = replace(moved, unexplained=unexplained)
        assert before.holds_until(found) == 3, "nobody knows in which block since"
        assert before.holds_until(replace(found, joined=True)) == 3, "filled in by logs, which do not tell it either"
    for cause in ("transfer", "sync"):
        unknown = replace(moved, cause=cause, joined=True, unexplained=None)
        assert before.holds_until(unknown) == 3, "nobody knows all logs since"
        assert not found.was_found_late, "but all blocks in between were looked at"
