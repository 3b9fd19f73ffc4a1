from __future__ import annotations

from decimal import Decimal

import pytest

from indexer.demo.venue import Life, Venue
from indexer.demo.venue.dialects import DIALECTS
from tests.venue.client import amounts, connected, truth

REST = {
    "binance": {"spot": "spot", "margin": "margin", "futures": "swap", "funding": "funding"},
    "okx": {"unified": "spot", "funding": "funding"},
    "bybit": {"unified": "unified", "funding": "funding"},
    "kraken": {"spot": "spot"},
    "deribit": {"futures": "swap"},
    "hyperliquid": {"spot": "spot", "futures": "swap"},
}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_after_a_busy_day_ccxt_reads_exactly_the_truth(venue: Venue, dialect: str) -> None:
    account = venue.account(dialect)
    life = Life(venue, account, seed=7)
    life.begin()
    kinds = {life.step().kind for _ in range(400)}
    assert {"trade", "deposit"} <= kinds
    total = "total" if dialect not in {"deribit", "hyperliquid", "binance", "okx"} else "equity"
    async with connected(venue, account) as exchange:
        for wallet, kind in REST[dialect].items():
            told = await exchange.fetch_balance({"type": kind})
            assert amounts(told, "total") == truth(venue, account, wallet, total)
            assert truth(venue, account, wallet, total)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_day_repeats_itself_from_its_seed_and_never_overdraws(dialect: str) -> None:
    days = []
    for _ in range(2):
        async with Venue(dialect) as venue:
            life = Life(venue, venue.account(dialect), seed=3)
            life.begin()
            changes = [life.step() for _ in range(500)]
            days.append([(change.kind, change.moves) for change in changes])
    assert days[0] == days[1]
    assert all(move.after.free >= 0 and move.after.used >= Decimal(0) for _, moves in days[0] for move in moves)
