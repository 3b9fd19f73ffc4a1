"""Accounts of a lying venue, over real ccxt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Protocol

import pytest

from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.dialects.dialect import Dialect
from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.pool import Venues
from indexer.clients.exchange.throttle import Limit
from indexer.demo.venue import Account, Venue
from indexer.domain.accounts.amounts import Wallet
from indexer.errors import BadAnswer, Throttled, VenueUnreachable

NO_ANSWERS = (
    ("empty_answer", BadAnswer),
    ("empty_body", BadAnswer),
    ("not_json", BadAnswer),
    ("html", (BadAnswer, VenueUnreachable)),
    ("unavailable", (BadAnswer, VenueUnreachable)),
    ("throttled", Throttled),
)
"""What a venue may say instead of an answer, and what that is to us."""

PING_SECONDS = 0.6
"""A fifth of what is used in earnest; tests of silence wait for two and a half of them."""


class Connect(Protocol):
    def __call__(self, account: Account, *wallets: Wallet) -> ExchangeAccount: ...


def _hasty(dialect: Dialect) -> Dialect:
    """Kraken lets an address ask once a second: its three lists took each of its accounts two seconds."""
    if dialect.exchange != "kraken" or dialect.limits is None:
        return dialect
    return replace(dialect, limits=replace(dialect.limits, address=Limit(6_000, 60, burst=500)))


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with Venue(*DIALECTS, seed=1) as opened:
        yield opened


@pytest.fixture
def main(venue: Venue) -> Account:
    account = venue.account("binance")
    venue.truth.deposit(account, "spot", "USDT", "1000.50")
    return account


@pytest.fixture
async def connect(venue: Venue) -> AsyncIterator[Connect]:
    """A connection for an account of the venue, with these wallets or all of them; closed at the end."""
    venues = Venues(ping_seconds=PING_SECONDS)
    made: list[ExchangeAccount] = []

    def connected(account: Account, *wallets: Wallet) -> ExchangeAccount:
        dialect = _hasty(DIALECTS[account.exchange])
        made.append(
            ExchangeAccount(
                dialect,
                venues,
                account.credentials,
                wallets or tuple(dialect.wallets),
                base_url=venue.url(account.exchange),
                jitter=lambda: 0.0,
            )
        )
        return made[-1]

    yield connected
    for account in made:
        await account.close()
    await venues.close()
