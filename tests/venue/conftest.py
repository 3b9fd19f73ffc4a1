"""One venue of all languages per test; starting it takes milliseconds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from indexer.demo.venue import Venue


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with Venue() as opened:
        yield opened
