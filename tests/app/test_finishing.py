"""A service that is told to end, wherever it was made."""

from __future__ import annotations

import asyncio

from indexer.app import Service
from indexer.config import Settings


def test_a_service_that_was_made_before_its_loop_ends_with_the_code_that_it_was_given() -> None:
    service = Service(Settings())

    async def ended() -> int:
        waiting = asyncio.create_task(service.finished())
        await asyncio.sleep(0)
        service.finish(3)
        service.finish(4)
        return await waiting

    assert asyncio.run(ended()) == 3
