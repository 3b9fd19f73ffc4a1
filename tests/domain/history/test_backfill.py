"""Walking balances back through transfers: what is proven is right, what is not is never told."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.balances import net
from indexer.domain.chain import Holding, Transfer
from indexer.domain.history.backfill import Change, Chunk, Moved, Stride, changes_of
from indexer.domain.history.jobs import Anchor
from indexer.domain.history.trails import MOST_LOGS
from indexer.domain.history.walks import Teller, Walk, walked
from indexer.domain.telling.facts import HistoryRow, Joint
from tests.domain.samples import USDC, block_at, block_hash, tx, wallet

WALLETS = tuple(wallet(index) for index in range(3))
NOBODY = wallet(99)
HOLDINGS = frozenset(Holding(USDC, each) for each in WALLETS)


@dataclass
class Past:
    """Blocks 1 to `tip` of a token, and what everybody had after each."""

    moved: list[Moved] = field(default_factory=list)
    balances: list[dict[Holding, int]] = field(default_factory=lambda: [dict.fromkeys(HOLDINGS, 0)])
    silent: set[tuple[int, Holding]] = field(default_factory=set)

    def at(self, number: int, holding: Holding) -> int:
        return self.balances[number][holding]


@st.composite
def pasts(draw: st.DrawFn, *, honest: bool = True) -> Past:
    past = Past()
    for number in range(1, draw(st.integers(2, 8))):
        now = dict(past.balances[-1])
        for index in range(draw(st.integers(0, 3))):
            sender = draw(st.sampled_from((*WALLETS, NOBODY)))
            recipient = draw(st.sampled_from((*WALLETS, NOBODY)))
            most = now.get(Holding(USDC, sender), 50)
            amount = draw(st.integers(0, most))
            taken = amount if honest else draw(st.integers(0, amount))
            if sender in WALLETS:
                now[Holding(USDC, sender)] -= amount
            if recipient in WALLETS:
                now[Holding(USDC, recipient)] += taken
            transfer = Transfer(
                USDC, sender, recipient, amount, block_hash(number), tx(10 * number + index), index, number
            )
            past.moved.append(Moved(block_at(number), transfer))
        if not honest and draw(st.booleans()):
            grown = draw(st.sampled_from(sorted(HOLDINGS)))
            now[grown] += draw(st.integers(0, 5))
        past.balances.append(now)
    return past


def told(
    past: Past, first: int, floor: int, cuts: set[int]
) -> tuple[dict[Holding, list[HistoryRow]], dict[Holding, Walk]]:
    """As the actor does it: state above block `floor`, chunks that end at `cuts`, the newest block as anchor."""
    tip = len(past.balances) - 1
    anchors = {holding: Anchor(tip, past.at(tip, holding), is_open=True) for holding in HOLDINGS}
    ends = sorted({tip, *(cut for cut in cuts if first <= cut < tip)})
    chunks = []
    for low, high in zip([first, *(end + 1 for end in ends)], ends, strict=False):
        moved = tuple(each for each in past.moved if low <= each.block.number <= high)
        reads = {n: past.balances[n] for n in range(max(low, floor + 1), high + 1)}
        chunks.append(changes_of(Chunk(low, high, moved, reads), HOLDINGS))
    walks = walked(anchors, reversed(chunks))
    rows: dict[Holding, list[HistoryRow]] = {holding: [] for holding in HOLDINGS}
    for holding, walk in walks.items():
        walk.finish(first, past.at(first - 1, holding) if first - 1 > floor or first == 1 else None)
        teller = Teller(tip, tip - 1, walk.is_proven, walk.opening)
        opening = teller.open(block_at(first), "finalized", derived=True)
        changes = [change for chunk in chunks for change in chunk if change.holding == holding]
        found = [opening, *(teller.row(change, "finalized") for change in changes)]
        rows[holding] = [row for row in found if row is not None]
    return rows, walks


@given(pasts(), st.integers(0, 8), st.sets(st.integers(1, 8)))
def test_honest_transfers_give_exactly_the_balances_there_were(past: Past, floor: int, cuts: set[int]) -> None:
    rows, walks = told(past, 1, floor, cuts)
    tip = len(past.balances) - 1
    for holding in HOLDINGS:
        assert walks[holding].reason is None
        expected = [n for n in range(1, tip) if past.at(n, holding) != past.at(n - 1, holding)]
        assert [row.block.number for row in rows[holding]] == expected
        assert [row.balance for row in rows[holding]] == [past.at(n, holding) for n in expected]
        assert all(row.derived == (row.block.number <= floor) for row in rows[holding])
        assert [row.change for row in rows[holding]] == [
            None if place == 0 else past.at(n, holding) - past.at(n - 1, holding) for place, n in enumerate(expected)
        ]


@given(pasts(honest=False), st.integers(0, 8), st.sets(st.integers(1, 8)))
def test_what_is_read_is_told_whatever_transfers_say(past: Past, floor: int, cuts: set[int]) -> None:
    rows, walks = told(past, 1, floor, cuts)
    for holding in HOLDINGS:
        for row in rows[holding]:
            if not row.derived:
                assert row.balance == past.at(row.block.number, holding)
        if walks[holding].reason is not None:
            assert not any(row.derived for row in rows[holding])
        numbers = [row.block.number for row in rows[holding]]
        assert numbers == sorted(set(numbers))
        assert all(row.balance >= 0 for row in rows[holding])


@given(pasts(), st.integers(0, 8), st.sets(st.integers(1, 8)))
def test_honest_transfers_explain_everything_and_each_is_told_once(past: Past, floor: int, cuts: set[int]) -> None:
    rows, _ = told(past, 1, floor, cuts)
    for holding, found in rows.items():
        logs = [
            each.transfer for each in past.moved if holding.solver in (each.transfer.sender, each.transfer.recipient)
        ]
        for first in found[:1]:
            assert first.unexplained is None
            assert list(first.transfers) == [log for log in logs if log.block_number == first.block.number]
        last = found[-1].block.number if found else 0
        later = [log for row in found[1:] for log in row.transfers]
        assert later == [log for log in logs if found and found[0].block.number < log.block_number <= last]
        assert all(row.unexplained == 0 for row in found[1:])


@given(pasts(honest=False), st.integers(0, 8))
def test_what_is_unexplained_is_what_the_logs_leave_of_the_change(past: Past, floor: int) -> None:
    rows, _ = told(past, 1, floor, set())
    for holding, found in rows.items():
        for row in found:
            assert (row.unexplained is None) == (row.change is None)
            if row.change is not None:
                assert row.unexplained == row.change - net(row.transfers, holding.solver)


def test_logs_past_a_bound_are_not_carried_and_nothing_is_claimed_of_them() -> None:
    """A token can log for ever without moving anything."""
    here = Holding(USDC, WALLETS[0])
    teller = Teller(anchor=9_999, last=9_998, is_proven=True, held=5, is_first=False)
    for number in range(1, MOST_LOGS + 2):
        log = Transfer(USDC, here.solver, here.solver, 1, block_hash(number), tx(number), 0, number)
        assert teller.row(Change(here, block_at(number), 0, None, (log,)), "latest") is None
    moved = Transfer(USDC, NOBODY, here.solver, 1, block_hash(900), tx(900), 0, 900)
    for number, expected in ((900, None), (901, 0)):
        row = teller.row(Change(here, block_at(number), 1, None, (moved,)), "latest")
        assert row is not None
        assert (row.transfers, row.unexplained) == ((moved,), expected)


def test_nothing_is_news_only_where_something_was_moved_out() -> None:
    """What was there before the first block can be unknown, while each change above it was read."""
    here = Holding(USDC, WALLETS[0])
    emptied, idle = (
        Teller(anchor=9, last=8, is_proven=False, held=None).row(Change(here, block_at(7), delta, 0), "latest")
        for delta in (-2, 0)
    )
    assert emptied is not None
    assert (emptied.balance, emptied.change) == (0, None)
    assert idle is None


def test_a_record_that_knows_what_its_logs_leave_is_not_told_anew_by_an_order_that_does_not() -> None:
    here = Holding(USDC, WALLETS[0])
    anchor = Anchor(9, 12, is_open=True, hash=block_hash(9), change=5)
    for trail, expected in ((None, None), ((), Joint(9, 5, (), (), 5, block_hash(9)))):
        teller = Teller(anchor=9, last=8, is_proven=True, held=7, is_first=False, trail=trail)
        assert teller.joint(anchor, None, here) == expected
    elsewhere = Teller(anchor=9, last=8, is_proven=True, held=8, is_first=False, trail=None)
    assert elsewhere.joint(anchor, None, here) == Joint(9, 4, (), (), None, block_hash(9)), "from another record"


@given(pasts(), st.integers(2, 6), st.integers(0, 8))
def test_a_walk_that_begins_in_the_middle_is_proven_by_a_read_or_by_nothing_left(
    past: Past, first: int, floor: int
) -> None:
    if first >= len(past.balances) - 1:
        return
    rows, walks = told(past, first, floor, set())
    for holding in HOLDINGS:
        before, walk = past.at(first - 1, holding), walks[holding]
        if walk.derived and before and first - 1 <= floor:
            assert walk.reason is not None
        else:
            assert walk.reason is None
        for row in rows[holding]:
            if row.block.number > first:
                assert row.balance == past.at(row.block.number, holding)


def test_a_read_that_contradicts_stops_what_is_derived_below_it() -> None:
    holding = Holding(USDC, WALLETS[0])
    walk = Walk(anchor=10, balance=100)
    walk.step(Change(holding, block_at(8), 20, 90))
    walk.step(Change(holding, block_at(3), 70, None))
    walk.finish(0, None)
    assert walk.reason == "at block 8 it was 90, its transfers say 100"
    assert not walk.is_proven


def test_nothing_is_walked_back_across_a_log_that_does_not_say_how_much() -> None:
    log = Transfer(USDC, WALLETS[0], NOBODY, None, block_hash(8), tx(8), 0, 8)
    (change,) = changes_of(Chunk(3, 9, (Moved(block_at(8), log),)), HOLDINGS)
    walk = Walk(anchor=10, balance=0)
    walk.step(change)
    walk.finish(0, 0)
    assert walk.reason == "a Transfer log of block 8 does not say how much"
    assert not walk.is_proven
    told = Teller(anchor=10, last=9, is_proven=False, held=None).row(change._replace(read=7), "latest")
    assert told is not None
    assert (told.balance, told.transactions, told.transfers) == (7, (tx(8),), ())


@given(st.lists(st.sampled_from(["refused", "few", "many", "slow"]), max_size=60))
def test_a_stride_is_never_nothing_and_never_endless(answers: list[str]) -> None:
    stride = Stride()
    for answer in answers:
        if answer == "refused":
            stride = stride.narrower(stride.blocks)
        else:
            stride = stride.wider(5_000 if answer == "many" else 10, 5.0 if answer == "slow" else 0.01)
        assert 1 <= stride.blocks <= 100_000


def test_a_stride_remembers_what_was_refused() -> None:
    stride = Stride(1_000).narrower(1_000)
    assert stride.blocks == 500
    sizes = []
    for _ in range(10):
        stride = stride.wider(1, 0.01)
        sizes.append(stride.blocks)
    assert max(sizes) < 1_000


def test_what_changed_in_the_block_of_the_record_at_the_anchor_is_no_record_of_its_own() -> None:
    here = Holding(USDC, WALLETS[0])
    teller = Teller(anchor=9, last=9, is_proven=True, held=3, is_first=False)
    assert teller.row(Change(here, block_at(9), 1, None), "latest") is None
    assert teller.held == 3
    row = teller.row(Change(here, block_at(8), 1, None), "latest")
    assert row is not None
    assert (row.balance, row.change) == (4, 1)
