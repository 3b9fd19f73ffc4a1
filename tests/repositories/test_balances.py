"""Records and current balances, as queries see them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from bson import Decimal128, Int64

from indexer.domain.chain import NATIVE, Holding, TokenInfo
from indexer.domain.measuring.course import Course
from indexer.domain.measuring.stats import Statistics, Stats
from indexer.domain.recording.records import BalanceRecord, fold
from indexer.domain.telling.commits import Commit
from indexer.errors import StoreUnavailable
from repositories.balances import BalanceBook
from repositories.documents.rows import amount_of
from repositories.store import Store
from tests.repositories.samples import INFO, TIME, USDC, block_hash, commit_at, head_at, solver_at, updated

HOLDING = Holding(USDC, solver_at(0))
LAST_TIME = datetime.max.replace(tzinfo=UTC)


def time_of(number: int) -> datetime:
    return datetime.fromtimestamp(head_at(number).timestamp, UTC)


async def written(store: Store, *balances: tuple[int, int]) -> list[BalanceRecord]:
    """Projects (block number, balance) pairs of one holding, one commit each."""
    commits = []
    for seq, (number, balance) in enumerate(balances, 1):
        fact = updated(number, balance=balance, previous=None if seq == 1 else balances[seq - 2][1])
        commits.append(Commit(f"c{seq}", "chain:1", seq, TIME, (fact,)))
    projection = fold(commits)
    await store.balances.project(projection)
    return list(projection.records.values())


async def test_a_record_has_the_documented_fields(store: Store) -> None:
    await written(store, (5, 1_500_000), (6, 2_500_000))
    expected = {
        "chainId": Int64(1),
        "tokenAddress": USDC,
        "solverAddress": solver_at(0),
        "balance": "2500000",
        "amount": Decimal128("2.5"),
        "blockNumber": Int64(6),
        "blockHash": block_hash(6),
        "timestamp": time_of(6),
        "transactionHash": block_hash(6, "f"),
        "transactionHashes": [block_hash(6, "f")],
        "decimals": 6,
        "tokenSymbol": "USDC",
        "tokenName": "USD Coin",
        "changeAmount": "1000000",
        "cause": "transfer",
        "finality": "latest",
        "derived": False,
        "seq": Int64(2),
    }
    row = await store._database["balance_records"].find_one({"blockNumber": 6}, {"_id": 0})
    assert row == expected
    assert {type(row[name]) for name in ("chainId", "blockNumber", "seq")} == {Int64}
    current = await store._database["current_balances"].find_one({}, {"_id": 0})
    assert current == expected


async def test_the_newest_balance_is_the_current_one(store: Store) -> None:
    records = await written(store, (5, 10), (6, 20))
    assert await store.balances.one(1, HOLDING) == records[-1]
    assert await store.balances.balances_of(1) == {HOLDING: records[-1]}
    assert await store.balances.one(2, HOLDING) is None
    assert await store.balances.balances_of(2) == {}


async def test_current_balances_are_pages_in_key_order(store: Store) -> None:
    facts = tuple(updated(5, solver=solver, previous=None) for solver in (3, 1, 2))
    await store.balances.project(fold([Commit("c", "chain:1", 1, TIME, facts)]))
    first = await store.balances.current(limit=2)
    assert [row.holding.solver for row in first] == [solver_at(1), solver_at(2)]
    rest = await store.balances.current(after=(1, *first[-1].holding), limit=2)
    assert [row.holding.solver for row in rest] == [solver_at(3)]
    assert await store.balances.current(after=(1, *rest[-1].holding)) == []
    assert [row.holding.solver for row in await store.balances.current(solver=solver_at(3))] == [solver_at(3)]
    assert len(await store.balances.current(chain_id=1, token=USDC)) == 3
    assert await store.balances.current(chain_id=2) == []
    assert await store.balances.current(token=NATIVE) == []


async def test_history_comes_newest_first_and_between_bounds(store: Store) -> None:
    five, seven, nine = await written(store, (5, 10), (7, 9), (9, 100))
    history = store.balances.history
    assert await history(1, HOLDING, limit=10) == [nine, seven, five]
    assert await history(1, HOLDING, limit=2) == [nine, seven]
    assert await history(1, HOLDING, limit=10, before=9) == [seven, five]
    assert await history(1, HOLDING, limit=10, start=time_of(7), end=time_of(7)) == [seven]
    assert await history(1, HOLDING, limit=10, start=time_of(7) + timedelta(seconds=1)) == [nine]
    assert await history(1, HOLDING, limit=10, end=time_of(7) - timedelta(seconds=1)) == [five]
    assert await history(1, Holding(NATIVE, solver_at(0)), limit=10) == []


async def test_a_span_that_begins_right_after_a_record_is_without_it(store: Store) -> None:
    await written(store, (5, 10), (7, 9))
    for later in (timedelta(microseconds=1), timedelta(milliseconds=1)):
        start = time_of(5) + later
        assert [row.block.number for row in await store.balances.history(1, HOLDING, limit=9, start=start)] == [7]
        stats = await store.balances.stats(1, HOLDING, start=start, end=time_of(6), until=time_of(6))
        assert stats == Statistics(None, Course(Fraction(10), Decimal(0), "flat", Decimal(0)))
    assert await store.balances.history(1, HOLDING, limit=9, start=LAST_TIME) == []


async def test_a_balance_can_be_asked_as_of_a_block_or_time(store: Store) -> None:
    five, seven = await written(store, (5, 10), (7, 9))
    assert await store.balances.at_block(1, HOLDING, 4) is None
    assert await store.balances.at_block(1, HOLDING, 6) == five
    assert await store.balances.at_block(1, HOLDING, 7) == seven
    assert await store.balances.at_time(1, HOLDING, time_of(5) - timedelta(seconds=1)) is None
    assert await store.balances.at_time(1, HOLDING, time_of(6)) == five
    assert await store.balances.at_time(1, HOLDING, time_of(8)) == seven
    following = [await store.balances.next_after(1, HOLDING, number) for number in (4, 5, 7)]
    assert [None if row is None else row.block.number for row in following] == [5, 7, None]


async def test_stats_count_numbers_not_strings(store: Store) -> None:
    await written(store, (5, 100), (6, 99), (7, 2**256 - 1))
    assert (await store.balances.stats(1, HOLDING)).records == Stats(
        count=3, first=100, last=2**256 - 1, minimum=99, maximum=2**256 - 1, average=(2**256 + 198) // 3
    )
    only = await store.balances.stats(1, HOLDING, start=time_of(6), end=time_of(6))
    assert only.records == Stats(count=1, first=99, last=99, minimum=99, maximum=99, average=99)
    assert (await store.balances.stats(1, HOLDING, end=time_of(4))) == Statistics(None, None)


async def test_what_held_at_the_beginning_of_a_time_counts_for_its_course(store: Store) -> None:
    await written(store, (5, 100), (7, 200))
    whole = await store.balances.stats(1, HOLDING, start=time_of(6), until=time_of(8))
    assert whole.course is not None
    assert (whole.course.average, whole.course.direction) == (Fraction(150), "up")
    idle = await store.balances.stats(1, HOLDING, start=time_of(8), until=time_of(9))
    assert idle == Statistics(None, Course(Fraction(200), Decimal(0), "flat", Decimal(0)))


async def test_a_replay_never_moves_a_current_balance_back(store: Store) -> None:
    records = await written(store, (5, 10), (6, 20))
    await store.balances.project(fold([Commit("c1", "chain:1", 1, TIME, (updated(5, balance=10, previous=None),))]))
    assert await store.balances.one(1, HOLDING) == records[-1]
    assert await store.balances.history(1, HOLDING, limit=10) == records[::-1]


async def test_more_records_than_one_batch_are_written_once_however_often_projected(store: Store) -> None:
    commit = commit_at(5, seq=1, count=620)
    await store.balances.project(fold([commit]))
    await store.balances.project(fold([commit, commit_at(6, seq=621, count=3)]))
    assert await store._database["balance_records"].count_documents({}) == 623
    assert await store._database["current_balances"].count_documents({}) == 620


async def test_a_second_row_for_the_same_block_gives_way_to_the_newer_word(store: Store) -> None:
    await store.balances.project(fold([Commit("a", "chain:1", 1, TIME, (updated(5, balance=1, fork="a"),))]))
    await store.balances.project(fold([Commit("b", "chain:1", 2, TIME, (updated(5, balance=2, fork="b"),))]))
    rows = await store.balances.history(1, HOLDING, limit=10)
    assert [(row.balance, row.block.hash) for row in rows] == [(2, block_hash(5, "b"))]


@pytest.mark.parametrize(
    ("raw", "decimals", "expected"),
    [
        (2_500_000, 6, "2.5"),
        (10**22, 18, "10000"),
        (0, 18, "0"),
        (10**34 - 1, 0, "9" * 34),
        (10**60, 18, "1.000000000000000000000000000000000E+42"),
        (10**34 + 1, 18, None),
        (2**256 - 1, 18, None),
        (5, None, None),
        (5, 255, "5E-255"),
        (5, 10**6, None),
    ],
)
def test_an_amount_is_exact_or_absent(raw: int, decimals: int | None, expected: str | None) -> None:
    amount: Any = amount_of(raw, decimals)
    assert (amount and str(amount)) == expected


async def test_a_token_that_tells_nothing_of_itself_has_no_amount(store: Store) -> None:
    assert TokenInfo() != INFO
    record = BalanceRecord(1, HOLDING, 5, head_at(5).ref, None, "first", TokenInfo(), seq=1)
    projection = fold([])
    projection.current[1, HOLDING] = record  # type: ignore[index] # a HoldingKey is a tuple
    await store.balances.project(projection)
    assert await store.balances.one(1, HOLDING) == record
    row = await store._database["current_balances"].find_one({})
    assert row is not None
    assert (row["amount"], row["decimals"], row["transactionHash"]) == (None, None, None)


async def test_a_projection_that_fails_leaves_no_write_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    async def slowly(_book: BalanceBook, _records: Sequence[BalanceRecord]) -> None:
        await asyncio.sleep(0.01)
        ended.append("records")

    async def fail(_book: BalanceBook, _records: Sequence[BalanceRecord]) -> None:
        raise StoreUnavailable("no primary")

    monkeypatch.setattr(BalanceBook, "_add", slowly)
    monkeypatch.setattr(BalanceBook, "_replace_current", fail)
    with pytest.raises(StoreUnavailable):
        await store.balances.project(fold([commit_at(1, seq=1)]))
    assert ended == ["records"]
