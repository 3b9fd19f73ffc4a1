"""When native balances are due, and at which block each was read last."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actors.chains.books.bookkeeping import Bookkeeper
from actors.chains.followed import Followed
from indexer.domain.balances import Watch
from indexer.domain.health.status import NativesRead
from tests.domain.samples import USDC, head_at, holding

COIN, OTHER = holding(0), holding(1)


@pytest.fixture
def book() -> Bookkeeper:
    """All natives were read at block 20, and are every five blocks."""
    ledger: Any = SimpleNamespace(natives_at=20)
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


def test_what_was_read_above_a_reorg_counts_up_to_its_ancestor(book: Bookkeeper) -> None:
    book.some_read([COIN], 21)
    book.some_read([OTHER], 24)
    book.roll_back(22)
    assert book.read == NativesRead(20, {COIN: 21, OTHER: 22})
    book.roll_back(18)
    assert book.read == NativesRead(18, {COIN: 18, OTHER: 18})
