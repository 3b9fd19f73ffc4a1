"""What the hub does by the clock goes on, whatever goes wrong in it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
import structlog.testing

from indexer.api.hub import Limits
from indexer.api.hub.outbox import Outbox
from indexer.api.hub.ticking import MOST_FAILURES, Ticker
from indexer.domain.health.status import StreamStatus
from tests.hub.fakes import World, updated
from tests.hub.stage import stage, until
from tests.hub.test_slow_readers import flood, lazy_client

QUICK = Limits(heartbeat_seconds=0.02)


class Moody(World):
    """Cannot say how it is, while a test wishes so."""

    ill = False
    asked = 0

    def streams(self) -> Sequence[StreamStatus]:
        self.asked += 1
        if self.ill:
            raise ValueError("no word on the streams")
        return super().streams()


async def test_heartbeats_come_again_after_one_that_failed() -> None:
    world = Moody()
    async with stage(world, limits=QUICK) as on:
        client = await on.client()
        await client.subscribe()
        with structlog.testing.capture_logs() as logs:
            world.ill, world.asked = True, 0
            await until(lambda: world.asked >= 3)
            world.ill = False
            await client.until_pong()
            assert (await client.read())["type"] == "heartbeat"
        told = [(each["event"], each["log_level"]) for each in logs]
        assert told == [("tick_failed", "error"), ("tick_recovered", "info")], (
            "once when it breaks, once when it is back"
        )


async def test_who_reads_nothing_is_dismissed_while_heartbeats_fail() -> None:
    world = Moody()
    async with stage(world, limits=Limits(heartbeat_seconds=0.02, stall_seconds=0.2)) as on, lazy_client(on) as lazy:
        lazy.send(op="subscribe", id="1")
        await until(lambda: on.hub.subscribers == 1)
        world.ill = True
        await flood(on, 4_000)
        await until(lambda: on.hub.subscribers == 0)


async def test_everybody_is_said_goodbye_to_though_the_last_tick_failed() -> None:
    world = Moody()
    async with stage(world, limits=QUICK) as on:
        client = await on.client()
        await client.subscribe()
        world.ill, world.asked = True, 0
        await until(lambda: world.asked >= MOST_FAILURES)
        reading = asyncio.create_task(client.close_code())
        await on.hub.close()
        assert await reading == 1001


async def test_a_client_that_cannot_be_looked_at_is_cut_and_the_others_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with stage(limits=QUICK) as on:
        broken, other = await on.client(), await on.client()
        await broken.subscribe()
        (bad,) = (one.outbox for one in on.hub._connections if one.is_subscribed)
        await other.subscribe()
        stalled = Outbox.stalled_seconds

        def looked_at(outbox: Outbox, now: float) -> float:
            if outbox is bad:
                raise ValueError("a mistake")
            return stalled(outbox, now)

        monkeypatch.setattr(Outbox, "stalled_seconds", looked_at)
        await until(lambda: on.hub.connections == 1)
        on.tell(updated(1, 1))
        assert (await other.read_event())["seq"] == 1
        assert (await other.read())["type"] == "heartbeat"


async def test_a_client_whose_queue_cannot_be_written_any_more_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage(limits=QUICK) as on, lazy_client(on) as lazy:
        lazy.send(op="subscribe", id="1")
        await until(lambda: on.hub.subscribers == 1)

        def broken(_outbox: Outbox) -> None:
            raise ValueError("a mistake")

        monkeypatch.setattr(Outbox, "_write_chunk", broken)
        on.hub._queue([])
        await flood(on, 4_000)
        reading = asyncio.create_task(lazy_end(lazy.read_texts()))
        await until(lambda: on.hub.connections == 0)
        reading.cancel()


async def lazy_end(frames: object) -> None:
    async for _ in frames:  # type: ignore[attr-defined]
        pass


async def test_ticks_that_fail_again_and_again_are_given_up_and_the_owner_hears_of_it() -> None:
    ticks: list[int] = []
    lost: list[BaseException] = []

    def tick() -> None:
        ticks.append(1)
        raise ValueError("a mistake")

    ticker = Ticker(tick, 0.0, give_up=lost.append)
    ticker.start()
    await until(lambda: bool(lost))
    await ticker.stop()
    assert len(ticks) == MOST_FAILURES
    assert [repr(error) for error in lost] == ["ValueError('a mistake')"]


async def test_a_tick_that_fails_now_and_then_is_not_given_up() -> None:
    ticks: list[int] = []
    lost: list[BaseException] = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) % MOST_FAILURES:
            raise ValueError("a mistake")

    ticker = Ticker(tick, 0.0, give_up=lost.append)
    ticker.start()
    await until(lambda: len(ticks) > 5 * MOST_FAILURES)
    await ticker.stop()
    assert lost == []
