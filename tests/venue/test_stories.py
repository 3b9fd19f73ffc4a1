"""Whole fault stories with real ccxt: whatever was told meanwhile, who asks afterwards is told the truth."""

from __future__ import annotations

import asyncio
import contextlib
import os
from random import Random
from typing import Any

import aiohttp
import ccxt
import pytest

from indexer.demo.venue import Life, Venue, drawn
from indexer.demo.venue.dialects import DIALECTS
from tests.venue.client import amounts, connected, truth
from tests.venue.test_life import REST

STORIES = int(os.environ.get("VENUE_STORIES", "1"))
STEPS = 25

Troubles = (ccxt.BaseError, aiohttp.ClientError, TimeoutError, ValueError, TypeError, AttributeError, KeyError)
"""What a client must be ready for: ccxt lets the errors of its own parsing through as they are."""


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("seed", range(STORIES))
async def test_after_a_fault_story_the_truth_is_told(dialect: str, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    faults = drawn(Random(f"{dialect} {seed}"))  # noqa: S311 - a story to repeat
    async with Venue(dialect, seed=seed) as venue:
        # A story is told in a second; the real budgets of some venues would stretch it over minutes.
        venue.weights.enforced = False
        account = venue.account(dialect)
        life = Life(venue, account, seed=seed)
        life.begin()
        async with connected(venue, account) as exchange:
            await exchange.load_markets()
            venue.faults = faults
            await _suffer(exchange, life, REST[dialect])
        venue.calm()
        async with connected(venue, account) as exchange:
            for wallet, kind in REST[dialect].items():
                told = await exchange.fetch_balance({"type": kind})
                total = "total" if dialect in {"bybit", "kraken"} else "equity"
                assert amounts(told, "total") == truth(venue, account, wallet, total)
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


async def _suffer(exchange: Any, life: Life, kinds: dict[str, str]) -> None:
    """Days go by while a client reads and listens as well as it can."""
    listening = asyncio.create_task(_listen(exchange))
    for _ in range(STEPS):
        life.step()
        for kind in kinds.values():
            with contextlib.suppress(*Troubles):
                await asyncio.wait_for(exchange.fetch_balance({"type": kind}), 1)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def _listen(exchange: Any) -> None:
    while True:
        try:
            await exchange.watch_balance()
        except Troubles:
            await asyncio.sleep(0.02)
