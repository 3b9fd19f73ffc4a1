"""Snapshots for clients that do not take them: one at a time, and none that keeps the others waiting."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from indexer.api.hub.filters import Wanted
from indexer.api.hub.ordering import PART
from indexer.api.hub.snapshots import Snapshots
from tests.fixtures.turns import Turns
from tests.hub.fakes import World, updated
from tests.hub.stage import Stage, stage, until
from tests.hub.test_slow_readers import RawClient, lazy_client

TEXT = 1
WALLETS = 3_000
"""Their snapshot is more than a socket takes without somebody who reads."""


def big_world(wallets: int = WALLETS) -> World:
    world = World(solvers=wallets)
    world.commit(*(updated(number, number) for number in range(wallets)))
    world.project()
    return world


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The stream (or none) of each snapshot that was begun."""
    begun: list[str | None] = []
    take = Snapshots.take

    async def counted(snapshots: Snapshots, wanted: Wanted, stream: str | None = None) -> Any:
        begun.append(stream)
        return await take(snapshots, wanted, stream)

    monkeypatch.setattr(Snapshots, "take", counted)
    return begun


async def settled(taken: list[str | None]) -> int:
    """How many there are once no more come."""
    before = -1
    while before != len(taken):
        before = len(taken)
        await asyncio.sleep(0.5)
    return before


async def snapshots_of(lazy: RawClient, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < count:
        opcode, payload = await asyncio.wait_for(lazy.read(), 30)
        if opcode == TEXT and (frame := orjson.loads(payload))["type"] == "snapshot":
            found.append(frame)
    return found


async def ask(lazy: RawClient, on: Stage, *names: str) -> None:
    for name in names:
        lazy.send(op="subscribe", id=name, snapshot=True)
    await until(lambda: any(len(one._subscriptions) >= len(names) for one in on.hub._connections))


async def test_a_client_that_reads_nothing_has_one_snapshot_waiting(taken: list[str | None]) -> None:
    async with stage(big_world()) as on, lazy_client(on) as lazy:
        names = [str(number) for number in range(4)]
        await ask(lazy, on, *names)
        await until(lambda: any(not one.outbox.idle for one in on.hub._connections), 30)
        assert await settled(taken) == 1
        other = await on.client()
        assert await other.until_pong() == []

        on.tell(updated(0, 77))
        snapshots = await snapshots_of(lazy, len(names))
        assert [one["id"] for one in snapshots] == names
        assert {len(one["items"]) for one in snapshots} == {WALLETS}
        assert snapshots[0]["positions"] == {"chain:1": WALLETS}
        assert snapshots[-1]["positions"] == {"chain:1": WALLETS + 1}
        assert snapshots[-1]["items"][0]["balance"] == "77"


async def test_a_client_that_unsubscribes_without_reading_gets_no_second_snapshot(taken: list[str | None]) -> None:
    async with stage(big_world()) as on, lazy_client(on) as lazy:
        await ask(lazy, on, "0")
        await until(lambda: any(not one.outbox.idle for one in on.hub._connections), 30)
        for number in range(1, 6):
            lazy.send(op="unsubscribe", id=str(number - 1))
            lazy.send(op="subscribe", id=str(number), snapshot=True)
        await until(lambda: any("5" in one._subscriptions for one in on.hub._connections))
        assert await settled(taken) == 1
        assert [one["id"] for one in await snapshots_of(lazy, 2)] == ["0", "5"]


async def test_a_big_snapshot_is_made_in_turns_with_the_others(turns: Turns) -> None:
    async with stage(big_world(5_000)) as on:
        turns.count(Wanted, "covers")
        client = await on.client()

        async def snapshot() -> dict[str, Any]:
            await client.subscribe(snapshot=True)
            return await client.read_event()

        assert len((await turns.during(snapshot()))["items"]) == turns.done == 5_000
        assert turns.longest <= PART
