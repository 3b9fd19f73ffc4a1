"""One venue of all languages per test; starting it takes milliseconds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from indexer.demo.venue import Venue
from tests.venue.client import Clock


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with Venue() as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def timed(clock: Clock) -> AsyncIterator[Venue]:
    """A venue whose time passes only when the test says so."""
    async with Venue(clock=clock) as opened:
        yield opened
