"""What was told can be read, repeated, and gone on from, over restarts as well."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.e2e import truth
from tests.e2e.service import Json, Running, running
from tests.e2e.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

RNG = random.Random(11)  # noqa: S311 - a script, not a secret


async def test_no_answer_is_behind_an_event_that_was_heard(home: World, tmp_path: Path) -> None:
    config = home.config(tmp_path, store={"url": "memory"})
    async with running(config) as service, service.subscribed() as subscriber:
        asked = 0
        for _ in range(15):
            await home.stir(RNG, 4)
            # No waiting until the block is followed: each event is asked about as soon as it is here.
            await subscriber.until(lambda frames: len([f for f in frames if "seq" in f]) > asked)  # noqa: B023 - awaited here
            fresh = subscriber.events[asked:]
            asked += len(fresh)
            await asyncio.gather(*(_is_readable(service, event) for event in fresh))
        assert asked > 30


async def _is_readable(service: Running, event: Json) -> None:
    data = event["data"]
    key = data["chainId"], data["tokenAddress"], data["solverAddress"]
    found = await service.balance(*key)
    assert found["blockNumber"] >= data["blockNumber"]
    then = await service.balance(*key, block=data["blockNumber"])
    assert (then["balance"], then["blockHash"]) == (data["newBalance"], data["blockHash"])


async def test_a_snapshot_with_what_follows_it_is_the_truth_and_replay_repeats_it(home: World, tmp_path: Path) -> None:
    config = home.config(tmp_path, store={"url": "memory"})
    async with running(config) as service, service.subscribed() as first:
        traffic = asyncio.create_task(_traffic(home, 30))
        await first.until(lambda frames: sum("seq" in frame for frame in frames) > 10)
        async with service.subscribed(snapshot=True) as late:
            await traffic
            await service.followed(home.anvil)
            seq = (await service.stream(home.anvil.chain_id))["seq"]
            await late.caught_up(home.stream, seq)
            await first.caught_up(home.stream, seq)
        snapshot = next(frame for frame in late.frames if frame["type"] == "snapshot")
        assert 0 < snapshot["positions"][home.stream] < seq
        assert [event["seq"] for event in late.events] == list(range(snapshot["positions"][home.stream] + 1, seq + 1))
        held = truth.replayed(late.events, snapshot["items"])
        wanted = [(token, wallet, "latest") for _, token, wallet in held]
        assert [int(value) for value in held.values()] == await truth.balances(home.anvil, wanted)
        everything = await service.events(home.stream)
        truth.check_dense(everything)
        truth.check_linked(everything)
        async with service.subscribed(after={home.stream: 0}) as again:
            await again.caught_up(home.stream, seq)
            assert again.events == everything
        assert first.events == everything[-len(first.events) :]


async def test_a_restart_goes_on_and_catches_up_block_by_block(home: World, tmp_path: Path) -> None:
    async with running(home.config(tmp_path)) as service:
        first = await service.events(home.stream)
        assert len(first) == len(home.holdings())
        assert await service.end() == 0
        await service.start()
        assert await service.events(home.stream) == first, "nothing was mined, so nothing is told"
        await _traffic(home, 3)
        await service.followed(home.anvil)
        before = await service.events(home.stream)
        assert await service.end() == 0
        await _traffic(home, 45)
        await service.start()
        await _traffic(home, 3)
        await truth.check_history(service, home.anvil, home.holdings())
        after = await service.events(home.stream)
        assert after[: len(before)] == before
        truth.check_dense(after)
        truth.check_linked(after)
        # Each change is told once, at its own block, and nothing had to be found by reading all again.
        updates = [event["data"] for event in after if event["type"] == "balance.updated"]
        told = [(data["tokenAddress"], data["solverAddress"], data["blockNumber"]) for data in updates]
        assert len(set(told)) == len(told)
        assert {data["cause"] for data in updates[len(before) :]} <= {"transfer", "native"}
        assert {event["type"] for event in after} <= {"balance.updated", "chain.finalized"}
        async with service.subscribed(after={home.stream: len(before)}) as resumed:
            await resumed.caught_up(home.stream, len(after))
            assert resumed.events == after[len(before) :]


async def _traffic(home: World, blocks: int) -> None:
    for _ in range(blocks):
        await home.stir(RNG)
