"""When native balances are due, and at which block each was read last."""

from __future__ import annotations

from typing import Any

import pytest

from actors.chains.books.bookkeeping import Bookkeeper
from actors.chains.books.ledger import Ledger
from actors.chains.followed import Followed
from indexer.domain.balances import Watch
from indexer.domain.chain import Holding
from indexer.domain.following.headchain import HeadChain
from indexer.domain.health.status import NativesRead
from indexer.domain.resuming.reorgs import reverts
from tests.actors.fakes import Desk
from tests.domain.samples import USDC, head_at, holding, updated

COIN, OTHER = holding(0), holding(1)


@pytest.fixture
def ledger(desk: Desk) -> Ledger:
    """All natives were read at blocks 15 and 20."""
    ledger = desk.open()
    for number in (15, 20):
        ledger.natives_read(number)
    return ledger


@pytest.fixture
def book(ledger: Ledger) -> Bookkeeper:
    """They are read every five blocks."""
    node: Any = None
    return Bookkeeper(
        name="sim",
        chain_id=1,
        node=node,
        ledger=ledger,
        followed=Followed(Watch(), 8),
        interval=5,
        unplaced=lambda _count: None,
    )


def test_natives_are_due_once_the_interval_is_over(book: Bookkeeper) -> None:
    assert [book.are_natives_due(head_at(number)) for number in (24, 25, 26)] == [False, True, True]


def test_what_was_read_since_is_known_by_balance_until_all_are_read(book: Bookkeeper) -> None:
    book.some_read([COIN, holding(1, USDC)], 22)
    assert book.read == NativesRead(20, {COIN: 22})
    book.natives_read(25)
    assert book.read == NativesRead(25)


@pytest.mark.parametrize("number", [19, 20])
def test_what_was_read_before_all_were_says_nothing_new(book: Bookkeeper, number: int) -> None:
    book.some_read([COIN], number)
    assert book.read == NativesRead(20)


async def test_what_was_read_above_the_ancestor_of_a_reorg_does_not_count(ledger: Ledger, book: Bookkeeper) -> None:
    book.some_read([COIN], 21)
    book.some_read([OTHER], 24)
    await roll_back(ledger, book, 22)
    assert book.read == NativesRead(20, {COIN: 21})
    await roll_back(ledger, book, 18)
    assert book.read == NativesRead(15)


async def test_who_was_recorded_or_taken_back_since_is_known_from_there_on(ledger: Ledger, book: Bookkeeper) -> None:
    await ledger.commit((updated(17, 7), updated(23, 8, who=OTHER)), head_at(23))
    await roll_back(ledger, book, 18, OTHER)
    assert book.read == NativesRead(15, {COIN: 17, OTHER: 18})


async def test_where_all_readings_are_taken_back_they_are_known_from_the_lowest_block_that_is(
    ledger: Ledger, book: Bookkeeper
) -> None:
    await roll_back(ledger, book, 14)
    assert book.read == NativesRead(13)


async def roll_back(ledger: Ledger, book: Bookkeeper, ancestor: int, *holdings: Holding) -> None:
    values = dict.fromkeys(holdings, 0)
    facts = reverts(ledger.above(ancestor), ledger.balances, values, head_at(ancestor).ref)
    await ledger.roll_back(HeadChain(8, (head_at(ancestor - 1), head_at(ancestor))), facts)
    book.roll_back(ancestor, facts)
