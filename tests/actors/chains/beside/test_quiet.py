"""Heads first: who can wait asks for a moment in which no chain is busy."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from actors.base import end
from indexer.errors import NodeUnreachable
from tests.actors.chains.stage import staged
from tests.sim.clock import in_virtual_time


@in_virtual_time
async def test_a_chain_that_is_cut_short_keeps_nobody_waiting_for_a_moment_of_quiet() -> None:
    async with staged() as stage:
        answered = asyncio.Event()

        async def hanging(*_: object, **__: object) -> NoReturn:
            await answered.wait()
            raise NodeUnreachable("it never answers")

        stage.node.look = hanging  # type: ignore[method-assign] # the reason for which it is taken out of the file
        stage.say_next()
        await asyncio.sleep(0.1)
        stage.say_next()
        await end(stage.ref, 1.5)
        asked_at = asyncio.get_running_loop().time()
        for _ in range(10):
            await stage.quiet.moment()
        assert asyncio.get_running_loop().time() - asked_at < 1


@in_virtual_time
async def test_nor_does_one_that_is_stopped_while_it_handles_a_head() -> None:
    async with staged() as stage:
        stage.say_next()
        await end(stage.ref, 1.5)
        asked_at = asyncio.get_running_loop().time()
        await stage.quiet.moment()
        assert asyncio.get_running_loop().time() - asked_at < 1
