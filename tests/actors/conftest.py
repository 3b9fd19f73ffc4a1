"""Every actor of a test ends with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pykka
import pytest

from actors.base import end


@pytest.fixture(autouse=True)
async def registry() -> AsyncIterator[None]:
    """pykka's registry is global to the process: whoever is left in it is ended, and the test fails."""
    assert pykka.ActorRegistry.get_all() == []
    yield
    left = pykka.ActorRegistry.get_all()
    for ref in left:
        await end(ref, 0.1)
    assert left == [], "this test left actors behind"
