"""A websocket that stays open and says nothing; and a node that has forgotten what we missed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e import truth
from tests.e2e.service import Running, running, until
from tests.e2e.world import World
from tests.fixtures.moody import Moody

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

RNG = random.Random(9)  # noqa: S311 - a script, not a secret

FOUND_SECONDS = 3.0
"""Blocks come faster than one a second here."""


@asynccontextmanager
async def stirring(home: World, seconds: float = 0.4) -> AsyncIterator[None]:
    """A block with changes every so often."""

    async def stir() -> None:
        while True:
            await home.stir(RNG)
            await asyncio.sleep(seconds)

    task = asyncio.create_task(stir())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def heads(service: Running, home: World) -> str | None:
    found: str | None = (await service.stream(home.anvil.chain_id))["heads"]
    return found


async def test_a_silent_socket_is_found_in_time_polled_meanwhile_and_returned_to(home: World, tmp_path: Path) -> None:
    async with Moody(home.anvil.http_url, home.anvil.ws_url) as way:
        table = home.table(rpc_urls=[way.http_url], ws_urls=[way.ws_url])
        config = home.config(tmp_path, chains={"first": table}, store={"url": "memory"})
        async with running(config) as service:

            async def is_told_by(source: str) -> bool:
                return await heads(service, home) == source

            async with stirring(home):
                await asyncio.sleep(2)
                await until(lambda: is_told_by("ws"))
                way.is_silent = True
                began = time.perf_counter()
                await until(lambda: is_told_by("poll"))
                assert time.perf_counter() - began < FOUND_SECONDS
                await asyncio.sleep(2)
                assert await heads(service, home) == "poll"
                way.is_silent = False
                await until(lambda: is_told_by("ws"))
            await service.followed(home.anvil)
            await truth.check_history(service, home.anvil, home.holdings())
            told = await service.events(home.stream)
            truth.check_dense(told)
            assert not {event["type"] for event in told} & {"stream.stale", "stream.resync"}
            assert await service.says("single_endpoint", chain="first")
            about = [line for line in service.log if line.get("endpoint") == way.name]
            assert len([line for line in about if line["event"].startswith("socket")]) <= 5


async def test_what_a_pruned_node_can_no_longer_tell_is_said_and_filled_from_logs(home: World, tmp_path: Path) -> None:
    async with Moody(home.anvil.http_url, home.anvil.ws_url) as way:
        table = home.table(rpc_urls=[way.http_url], ws_urls=[way.ws_url])
        config = home.config(tmp_path, chains={"first": table}, store={"url": "memory"})
        async with running(config) as service, service.subscribed() as subscriber:
            await home.stir(RNG)
            before = await service.followed(home.anvil)
            await way.stop()
            for _ in range(6):
                await home.stir(RNG)
            newest = int((await home.anvil.block())["number"], 16)
            way.pruned_below = newest
            await way.start()
            await service.followed(home.anvil)
            resync = await subscriber.until(
                lambda frames: next((frame for frame in frames if frame["type"] == "stream.resync"), None)
            )
            assert "cannot be read any more" in resync["data"]["reason"]
            assert await service.says("chain_resync", chain="first")
            await service.ready("first")
            stream = await service.stream(home.anvil.chain_id)
            assert (stream["state"], stream["lastError"]) == ("live", None)
            assert stream["lastResync"] == {
                "block": newest,
                "reason": resync["data"]["reason"],
                "at": resync["time"],
            }
            await until(lambda: _is_filled(service))
            tokens = [holding for holding in home.holdings() if holding[0] != "native"]
            histories = await truth.check_history(service, home.anvil, tokens)
            histories |= await truth.check_history(service, home.anvil, set(home.holdings()) - set(tokens), whole=False)
            for (token, _), rows in histories.items():
                assert {row["cause"] for row in rows if row["blockNumber"] == newest} <= {"resync", "transfer"}
                between = [row for row in rows if before < row["blockNumber"] < newest]
                assert all(row["derived"] and row["cause"] == "transfer" for row in between)
                assert token != "native" or not between, "no log tells where it changed"
                for older, row in pairwise(rows):
                    assert row["changeAmount"] is None or int(row["changeAmount"]) == int(row["balance"]) - int(
                        older["balance"]
                    )
            assert sum(before < row["blockNumber"] < newest for rows in histories.values() for row in rows) >= 6
            async with service._http.get(f"{service.url}/metrics") as answer:
                assert 'indexer_resyncs_total{chain="first"} 1.0' in await answer.text()


async def _is_filled(service: Running) -> bool:
    """What was passed over, tokens and natives."""
    jobs = [job for job in (await service.get("/backfill"))["items"] if job["id"].startswith("gap-")]
    return len(jobs) == 2 and all(job["progress"] >= 1 for job in jobs)
