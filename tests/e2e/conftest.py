"""Worlds for tests of the whole service; where tests only read, a whole module shares one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.e2e.world import World, world


@pytest_asyncio.fixture
async def home() -> AsyncIterator[World]:
    """A chain of this test's own that mines when asked."""
    async with world() as made:
        yield made
