"""One sole endpoint that refuses in words which nobody has met, or calls final what is still to come."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.e2e import truth
from tests.e2e.service import Json, Running, running, until
from tests.e2e.world import World
from tests.fixtures.moody import Moody

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

RNG = random.Random(4)  # noqa: S311 - a script, not a secret

LIKE_A_THROTTLE = (-32000, "too many requests for such work")
WORDS = [(-32603, "nothing is kept of that block 12"), LIKE_A_THROTTLE]


async def tokens_are_whole(service: Running, home: World) -> None:
    await truth.check_history(service, home.anvil, [holding for holding in home.holdings() if holding[0] != "native"])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("words", WORDS)
async def test_state_that_is_gone_in_strange_words_is_said_in_them_and_filled_from_logs(
    home: World, tmp_path: Path, words: tuple[int, str]
) -> None:
    async with Moody(home.anvil.http_url, home.anvil.ws_url) as way:
        table = home.table(rpc_urls=[way.http_url], ws_urls=[way.ws_url])
        config = home.config(tmp_path, chains={"first": table}, store={"url": "memory"})
        async with running(config) as service:
            await home.stir(RNG)
            await service.followed(home.anvil)
            await way.stop()
            for _ in range(6):
                await home.stir(RNG)
            way.pruned_words, way.pruned_below = words, int((await home.anvil.block())["number"], 16) + 1
            await home.anvil.mine(20)
            await way.start()

            async def resynced() -> Json | None:
                found: Json | None = (await service.stream(home.anvil.chain_id))["lastResync"]
                return found

            assert words[1] in (await until(resynced, 60))["reason"]
            await service.ready("first")
            await service.followed(home.anvil)

            async def filled() -> bool:
                jobs = [job for job in (await service.get("/backfill"))["items"] if job["id"].startswith("gap-")]
                return len(jobs) == 2 and all(job["progress"] >= 1 for job in jobs)

            await until(filled, 60)
            histories = await truth.check_history(service, home.anvil, home.holdings(), whole=False)
            rows = [row for (token, _), found in histories.items() if token != "native" for row in found]
            assert len({row["blockNumber"] for row in rows if row["derived"]}) >= 3


@pytest.mark.timeout(120)
@pytest.mark.parametrize("words", [LIKE_A_THROTTLE, (-32602, "that is more of the past than anybody may want")])
async def test_history_is_filled_past_ranges_that_are_refused_in_strange_words(
    home: World, tmp_path: Path, words: tuple[int, str]
) -> None:
    for _ in range(6):
        await home.stir(RNG)
        await home.anvil.mine(10)
    async with Moody(home.anvil.http_url, home.anvil.ws_url) as way:
        way.most_blocks, way.range_words = 10, words
        table = home.table(rpc_urls=[way.http_url], ws_urls=[way.ws_url], start_block=0)
        async with running(home.config(tmp_path, chains={"first": table}, store={"url": "memory"})) as service:
            told: set[str] = set()

            async def filled() -> bool:
                jobs = (await service.get("/backfill"))["items"]
                told.update(job["lastError"] for job in jobs if job["lastError"])
                return bool(jobs) and all(job["progress"] >= 1 for job in jobs)

            await until(filled, 60)
            assert any("blocks are too many" in reason and words[1] in reason for reason in told)
            await tokens_are_whole(service, home)


@pytest.mark.timeout(120)
async def test_history_is_filled_down_to_where_logs_expired_and_says_so_of_the_rest(
    home: World, tmp_path: Path
) -> None:
    for _ in range(6):
        await home.stir(RNG)
        await home.anvil.mine(10)
    async with Moody(home.anvil.http_url, home.anvil.ws_url) as way:
        way.logs_from = int((await home.anvil.block())["number"], 16) - 35
        table = home.table(rpc_urls=[way.http_url], ws_urls=[way.ws_url], start_block=0)
        async with running(home.config(tmp_path, chains={"first": table}, store={"url": "memory"})) as service:

            async def filled() -> list[Json]:
                jobs: list[Json] = (await service.get("/backfill"))["items"]
                return jobs if len(jobs) == 2 and all(job["progress"] >= 1 for job in jobs) else []

            jobs = await until(filled, 60)
            assert [job["fromBlock"] for job in jobs] == [0, 0]
            reasons = {lack["reason"] for job in jobs for lack in job["unproven"]}
            assert reasons == {f"its logs up to block {way.logs_from - 1} are gone: no endpoint has them any more"}
            await tokens_are_whole(service, home)
            rows = await service.history("first", home.token.address, home.acme)
            assert rows[-1]["blockNumber"] == way.logs_from


@pytest.mark.timeout(120)
async def test_a_finalized_block_that_is_still_to_come_keeps_nothing_waiting(home: World, tmp_path: Path) -> None:
    await home.stir(RNG)
    await home.anvil.mine(80)
    async with Moody(home.anvil.http_url, home.anvil.ws_url) as way:
        way.finalized_above = 10**6
        table = home.table(rpc_urls=[way.http_url], ws_urls=[way.ws_url], start_block=0)
        async with running(home.config(tmp_path, chains={"first": table}, store={"url": "memory"})) as service:

            async def filled() -> bool:
                jobs = (await service.get("/backfill"))["items"]
                return bool(jobs) and all(job["progress"] >= 1 for job in jobs)

            await until(filled, 30)

            async def final() -> bool:
                await home.anvil.mine()
                rows = await service.history("first", home.token.address, home.acme)
                return any(row["finality"] == "finalized" for row in rows)

            await until(final, 30, every=0.5)
