"""Who asks for something that a node has to answer is not kept waiting by one that is dead, nor by our own end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.service import Running, running, until
from tests.e2e.world import World, world
from tests.fixtures.moody import Mood, Moody

pytestmark = [pytest.mark.e2e, pytest.mark.node]

IN_TIME = 15.0
SOON = 8.0
"""Well below the twelve seconds that a dead node is waited for; a busy machine took four."""


@dataclass(frozen=True)
class Stage:
    service: Running
    world: World
    provider: Moody

    async def refresh(self) -> tuple[int, str, float]:
        return await self._asked(f"/balances/first/native/{self.world.acme}/refresh")

    async def add_token(self) -> tuple[int, str, float]:
        return await self._asked("/tokens", {"chain": "first", "addresses": [f"0x{77:040x}"]})

    async def audit(self) -> tuple[int, str, float]:
        return await self._asked("/audit", {"count": 10})

    async def is_audited(self) -> bool:
        return bool((await self.service.get("/audit"))["running"])

    async def _asked(self, path: str, body: object = None) -> tuple[int, str, float]:
        """The status, the detail of the problem, and how long it took."""
        began = time.monotonic()
        status, problem = await self.service.post(path, body)
        return status, str(problem.get("detail")), time.monotonic() - began


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with world() as home, Moody(home.anvil.http_url, home.anvil.ws_url) as provider:
        table = home.table(rpc_urls=[provider.http_url], ws_urls=[provider.ws_url])
        config = home.config(tmp_path, chains={"first": table}, store={"url": "memory"})
        async with running(config) as service:
            yield Stage(service, home, provider)


@pytest.mark.parametrize("mood", ["401", "hangs"])
async def test_a_request_that_a_dead_node_should_answer_is_given_up_in_time(stage: Stage, mood: Mood) -> None:
    stage.provider.mood = mood
    await stage.world.anvil.mine()  # a head whose block is asked for: the chain is busy with that
    answers = await asyncio.gather(stage.refresh(), stage.add_token(), stage.refresh())
    assert [status for status, _, _ in answers] == [503] * 3
    assert max(seconds for _, _, seconds in answers) < IN_TIME
    assert all("chain" in detail for _, detail, _ in answers)
    stage.provider.mood = "well"

    async def is_read() -> bool:
        return (await stage.refresh())[0] == 200

    await until(is_read)


async def test_who_waits_when_the_service_stops_is_told_so_at_once(stage: Stage) -> None:
    stage.provider.mood = "hangs"
    await stage.world.anvil.mine()
    abandoned = asyncio.create_task(stage.refresh())
    waiting = [asyncio.create_task(asked) for asked in (stage.refresh(), stage.add_token(), stage.audit())]
    await until(stage.is_audited)  # whoever asked before is heard by then as well
    abandoned.cancel()
    began = time.monotonic()
    assert await stage.service.end() == 0
    assert time.monotonic() - began < SOON
    assert [(status, detail) for status, detail, _ in await asyncio.gather(*waiting)] == [
        (503, "the service stops")
    ] * 3
    assert not stage.service.said("request_failed")
    assert "ActorDeadError" not in "".join(stage.service.raw)
