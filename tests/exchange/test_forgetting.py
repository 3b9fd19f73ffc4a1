"""What all accounts of a venue share outlives each of them, and must not keep its key."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.pool import Venues
from indexer.clients.exchange.throttle import Bucket, Gate, Limit
from indexer.demo.venue import Venue

_OURS = ("indexer.", "cachetools", "builtins", "collections")


def things_in(whole: object) -> Iterator[object]:
    """Everything that it holds, but not by way of classes, functions or other libraries."""
    seen: set[int] = set()
    left: list[Any] = [whole]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, type) or not type(one).__module__.startswith(_OURS):
            continue
        seen.add(id(one))
        yield one
        if type(one).__name__ not in ("function", "method", "module", "builtin_function_or_method"):
            left += gc.get_referents(one)


def texts_in(whole: object) -> set[str]:
    return {one for one in things_in(whole) if isinstance(one, str)}


async def test_no_credential_of_an_account_that_is_closed_is_kept_with_what_is_shared(venue: Venue) -> None:
    venues = Venues()
    for name in ("okx", "binance", "kraken"):
        credentials = venue.account(name, "desk").credentials
        wallet = next(iter(DIALECTS[name].wallets))
        account = ExchangeAccount(DIALECTS[name], venues, credentials, (wallet,), base_url=venue.url(name))
        account.believed(await account.read(wallet))
        assert any(value in texts_in(account) for value in credentials.values())
        await account.close()
        kept = texts_in(venues)
        assert name in kept
        assert not {value for value in credentials.values() if any(value in text for text in kept)}
    await venues.close()


async def test_one_key_has_one_mark_that_nobody_can_make_anew() -> None:
    credentials = {"apiKey": "key", "secret": "secret"}
    venues, others = Venues(), Venues()
    mark = venues.mark(credentials)
    assert mark == venues.mark(dict(reversed(credentials.items())))
    assert mark not in (venues.mark({**credentials, "apiKey": "other"}), others.mark(credentials))


async def test_keys_that_come_and_go_leave_a_bounded_number_of_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.clients.exchange.pool.MOST_KEYS", 3)
    venues, gate = Venues(), Gate()
    made = [venues.budget_of_key(("okx", "", "", str(number)), Limit(1, 1), gate) for number in range(9)]
    assert venues.budget_of_key(("okx", "", "", "8"), Limit(1, 1), gate) is made[8]
    assert sum(isinstance(one, Bucket) for one in things_in(venues)) == 3
