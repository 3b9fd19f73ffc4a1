"""Positions and funding payments that cannot be read: said once, though balances are well."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog.testing

from indexer.errors import VenueUnreachable
from tests.actors.accounts.fakes import FakeVenue, Stage
from tests.sim.clock import play


def _said(logs: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(each["event"], each["what"]) for each in logs if each["event"].startswith("account_extras")]


def test_positions_that_cannot_be_read_for_long_are_said_once_and_once_when_they_can() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1")
        venue.has_positions = True
        async with Stage(venue):
            await asyncio.sleep(100)
            venue.positions_error = VenueUnreachable("HTTP 503")
            with structlog.testing.capture_logs() as logs:
                await asyncio.sleep(130)
                assert _said(logs) == [], "one or two failures are nothing to be told of"
                await asyncio.sleep(600)
                assert _said(logs) == [("account_extras_failed", "positions")]
                venue.positions_error = None
                await asyncio.sleep(200)
                assert _said(logs) == [("account_extras_failed", "positions"), ("account_extras_back", "positions")]

    play(story())


def test_a_failure_now_and_then_is_not_said() -> None:
    async def story() -> None:
        venue = FakeVenue(BTC="1")
        venue.has_positions = True
        async with Stage(venue):
            with structlog.testing.capture_logs() as logs:
                for _ in range(10):
                    venue.positions_error = VenueUnreachable("HTTP 503")
                    await asyncio.sleep(70)
                    venue.positions_error = None
                    await asyncio.sleep(70)
                assert _said(logs) == []

    play(story())
