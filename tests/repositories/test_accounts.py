"""Records and current amounts of exchange accounts, as queries see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from bson import Decimal128

from indexer.domain.accounts.amounts import AccountKey, Amounts, AssetBalance, Slot
from indexer.domain.accounts.arrivals import Funding, Position
from indexer.domain.accounts.facts import AccountFact, AssetChanged, AssetUpdated, FundingPaid, PositionUpdated
from indexer.domain.accounts.fundings import Funded
from indexer.domain.accounts.records import AccountProjection
from indexer.domain.recording.records import fold
from indexer.domain.telling.commits import Commit
from repositories.documents.account_rows import account_record_of, account_row_of, amount_of
from repositories.store import Store
from tests.domain.accounts.builders import ACCOUNT, TIME, USDT, amounts, held

BTC = Slot("spot", "BTC")
OTHER = AccountKey("okx", "main")


def at(seconds: int) -> datetime:
    return TIME + timedelta(seconds=seconds)


def updates(*totals: str, slot: Slot = USDT, account: AccountKey = ACCOUNT) -> list[AccountFact]:
    """One after another of the same slot."""
    before: list[Amounts | None] = [None, *(amounts(total, "0", total) for total in totals)]
    return [
        AssetUpdated(account, held(total, slot), previous, "first" if previous is None else "rest")
        for total, previous in zip(totals, before, strict=False)
    ]


def folded(facts: Sequence[AccountFact], first_seq: int = 1) -> AccountProjection:
    """Each fact in a commit of its own, a second after the one before."""
    stream = "exchange:binance:main"
    commits = [Commit(f"c{seq}", stream, seq, at(seq), (fact,)) for seq, fact in enumerate(facts, first_seq)]
    return fold(commits).accounts


async def test_the_newest_of_each_slot_is_current_and_all_are_history(store: Store) -> None:
    await store.accounts.project(folded([*updates("1", "2.50"), *updates("7", slot=BTC)]))
    assert [(row.slot.asset, row.held.amounts.total) for row in await store.accounts.current(ACCOUNT)] == [
        ("BTC", Decimal(7)),
        ("USDT", Decimal("2.50")),
    ]
    history = await store.accounts.history(ACCOUNT, USDT, limit=10)
    assert [(row.seq, str(row.held.amounts.total), row.change) for row in history] == [
        (2, "2.50", Decimal("1.5")),
        (1, "1", None),
    ]


async def test_a_projection_may_be_repeated_and_an_older_one_changes_nothing(store: Store) -> None:
    whole, half = folded(updates("1", "2", "3")), folded(updates("1", "2"))
    for projection in (whole, half, whole):
        await store.accounts.project(projection)
    current = await store.accounts.one(ACCOUNT, USDT)
    assert current is not None
    assert current.held.amounts.total == 3
    assert len(await store.accounts.history(ACCOUNT, USDT, limit=10)) == 3


async def test_history_is_paged_by_number_and_bounded_by_time(store: Store) -> None:
    await store.accounts.project(folded(updates(*(str(n) for n in range(1, 7)))))
    page = await store.accounts.history(ACCOUNT, USDT, limit=2, before=5)
    assert [row.seq for row in page] == [4, 3]
    between = await store.accounts.history(ACCOUNT, USDT, limit=9, start=at(2), end=at(3))
    assert [row.seq for row in between] == [3, 2]
    then = await store.accounts.at_time(ACCOUNT, USDT, at(4))
    assert then is not None
    assert then.seq == 4
    assert await store.accounts.at_time(ACCOUNT, USDT, at(0)) is None


async def test_a_span_that_begins_right_after_a_record_is_without_it(store: Store) -> None:
    await store.accounts.project(folded(updates("1", "2")))
    for later in (timedelta(microseconds=1), timedelta(milliseconds=1)):
        start = at(1) + later
        assert [row.seq for row in await store.accounts.history(ACCOUNT, USDT, limit=9, start=start)] == [2]
        stats = await store.accounts.stats(ACCOUNT, USDT, start=start, end=start, until=at(2))
        assert stats.records is None
        assert stats.course is not None
        assert (stats.course.average, stats.course.volatility) == (Fraction(1), Decimal(0))


@pytest.mark.parametrize("time", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
async def test_a_span_may_begin_at_the_first_or_the_last_time_there_is(store: Store, time: datetime) -> None:
    await store.accounts.project(folded(updates("1")))
    count = 1 if time.year == 1 else 0
    assert len(await store.accounts.history(ACCOUNT, USDT, limit=9, start=time)) == count
    stats = await store.accounts.stats(ACCOUNT, USDT, start=time)
    assert (0 if stats.records is None else stats.records.count) == count


async def test_current_amounts_are_listed_in_order_and_go_on_after_a_place(store: Store) -> None:
    facts = [*updates("1"), *updates("2", slot=BTC), *updates("3", slot=BTC, account=OTHER)]
    await store.accounts.project(folded(facts))
    listed = await store.accounts.current()
    keys = [(*row.account, *row.slot) for row in listed]
    assert keys == [
        ("binance", "main", "spot", "BTC"),
        ("binance", "main", "spot", "USDT"),
        ("okx", "main", "spot", "BTC"),
    ]
    assert await store.accounts.current(after=keys[0], limit=2) == listed[1:]
    assert await store.accounts.current(asset="USDT") == [listed[1]]


async def test_every_digit_of_the_venue_is_kept_and_what_it_does_not_say_stays_absent(store: Store) -> None:
    exact = Amounts(None, None, Decimal("123456789012345678901234567890.1234567890"), Decimal("0E-8"))
    row = AssetBalance(USDT, exact, "equity", "stream", TIME, at(-1))
    await store.accounts.project(folded([AssetUpdated(ACCOUNT, row, None, "first")]))
    current = await store.accounts.one(ACCOUNT, USDT)
    assert current is not None
    assert current.held == row
    assert str(current.held.amounts) == str(exact)


def test_stored_amounts_are_written_without_an_exponent() -> None:
    held = Amounts(Decimal("1E+3"), Decimal("-2.50E-7"), Decimal("7.50"), Decimal("0E-8"))
    fact = AssetUpdated(ACCOUNT, AssetBalance(USDT, held, "wallet", "rest", TIME, None), None, "first")
    (record,) = folded([fact]).records
    row = account_row_of(record)
    assert [row[name] for name in ("free", "used", "total", "debt")] == ["1000", "-0.000000250", "7.50", "0.00000000"]
    assert account_record_of(row) == record


async def test_an_account_goes_on_with_what_is_held_open_and_paid(store: Store) -> None:
    position = Position("BTC/USDT:USDT", "long", Decimal("0.50"), entry_price=Decimal(9))
    facts = [
        *updates("1"),
        PositionUpdated(ACCOUNT, position, TIME),
        FundingPaid(ACCOUNT, Funding("a", position.symbol, "USDT", Decimal("-1.10"), at(1))),
        FundingPaid(ACCOUNT, Funding("b", position.symbol, "USDT", Decimal(2), at(2))),
        FundingPaid(ACCOUNT, Funding("c", position.symbol, "USDT", Decimal(3), at(2))),
    ]
    await store.accounts.project(folded(facts))
    book = await store.accounts.of_account(ACCOUNT)
    assert list(book.held) == [USDT]
    assert book.positions == {position.symbol: position}
    assert book.funded == Funded(at(2), {"a": at(1), "b": at(2), "c": at(2)})
    assert [one.id for one in await store.accounts.fundings(ACCOUNT, limit=9)] == ["b", "c", "a"]
    assert [one.id for one in await store.accounts.fundings(ACCOUNT, limit=9, before=at(2))] == ["a"]
    following = await store.accounts.fundings(ACCOUNT, limit=9, before=at(2), after_id="b")
    assert [one.id for one in following] == ["c", "a"]
    for start, end, ids in ((at(2), None, ["b", "c"]), (None, at(1), ["a"]), (at(1), at(2), ["b", "c", "a"])):
        assert [one.id for one in await store.accounts.fundings(ACCOUNT, limit=9, start=start, end=end)] == ids
    later = await store.accounts.fundings(ACCOUNT, limit=9, before=at(2), after_id="b", start=at(2))
    assert [one.id for one in later] == ["c"]


async def test_an_account_goes_on_measuring_from_what_was_told_as_changed(store: Store) -> None:
    assert (await store.accounts.of_account(ACCOUNT)).baselines == {}
    changed = AssetChanged(ACCOUNT, USDT, Decimal(1), Decimal("2.50"))
    facts = [*updates("1", "2.50"), changed, *updates("7", "8", slot=BTC)]
    whole, half = folded(facts), folded(facts[:1])
    for projection in (half, whole, half):
        await store.accounts.project(projection)
    assert (await store.accounts.of_account(ACCOUNT)).baselines == {USDT: Decimal("2.50"), BTC: Decimal(7)}


async def test_known_balances_are_told_oldest_first(store: Store) -> None:
    await store.accounts.project(folded(updates("1", "2")))
    assert [balance async for _, balance in store.accounts.balances(ACCOUNT, USDT)] == [Decimal(1), Decimal(2)]


async def test_old_records_are_forgotten_but_not_what_still_holds(store: Store) -> None:
    await store.accounts.project(folded(updates("1", "2", "3")))
    assert await store.books.forget(at(3)) == 1
    assert [row.seq for row in await store.accounts.history(ACCOUNT, USDT, limit=9)] == [3, 2]


@pytest.mark.parametrize(
    ("number", "stored"),
    [
        ("7.50", "7.5"),
        ("0E-8", "0"),
        ("-1e3", "-1000"),
        ("1" * 34, "1" * 34),
        ("1" * 35, None),
        ("NaN", None),
        (None, None),
    ],
)
def test_the_amount_for_queries_is_exact_or_absent(number: str | None, stored: str | None) -> None:
    expected = None if stored is None else Decimal128(stored)
    assert amount_of(None if number is None else Decimal(number)) == expected
