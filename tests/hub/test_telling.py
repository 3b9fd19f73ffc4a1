"""Live events: who gets which, in which order, and how often."""

from __future__ import annotations

import asyncio

import pytest

from indexer.api.hub import Limits
from tests.hub.fakes import EPOCH, USDC, World, finalized, solver, stale, updated
from tests.hub.stage import stage, until

QUICK = Limits(heartbeat_seconds=0.02)


async def test_an_event_reaches_a_subscriber_in_its_documented_shape() -> None:
    async with stage() as on:
        client = await on.client()
        await client.subscribe()
        on.tell(updated(3, 7, previous=5, number=123))
        assert await client.read() == {
            "type": "balance.updated",
            "id": f"{EPOCH}:chain:1:1",
            "stream": "chain:1",
            "seq": 1,
            "time": "2026-11-21T01:02:03.456Z",
            "data": {
                "chainId": 1,
                "tokenAddress": "native",
                "solverAddress": solver(3),
                "previousBalance": "5",
                "newBalance": "7",
                "changeAmount": "2",
                "amount": "0.000007",
                "decimals": 6,
                "tokenSymbol": "USDC",
                "blockNumber": 123,
                "blockHash": updated(3, 7, number=123).block.hash,
                "transactionHash": None,
                "cause": "native",
                "finality": "latest",
            },
        }


async def test_nothing_is_sent_before_a_subscription_and_after_its_end() -> None:
    async with stage(limits=QUICK) as on:
        client = await on.client()
        on.tell(updated(1, 1))
        assert await client.until_pong() == []
        await client.subscribe()
        await client.send(op="unsubscribe", id="1")
        await client.until_pong()
        assert on.hub.subscribers == 0
        on.tell(updated(1, 2))
        on.hub.tick()
        assert await client.until_pong() == []


@pytest.mark.parametrize(
    ("filters", "seqs"),
    [
        ([], [1, 2, 3, 4, 5]),
        ([{}], [1, 2, 3, 4, 5]),
        ([{"type": "balance.updated"}], [1, 2, 3]),
        ([{"token": "native"}], [1, 3]),
        ([{"token": "NATIVE"}], [1, 3]),
        ([{"token": USDC.lower()}], [2]),
        ([{"token": "0X" + USDC[2:].upper()}], [2]),
        ([{"solver": solver(1).lower()}], [1, 2]),
        ([{"solver": solver(1)}, {"solver": solver(2)}], [1, 2, 3]),
        ([{"solver": solver(1), "token": "native"}], [1]),
        ([{"chain": 1}], [1, 2, 3, 4, 5]),
        ([{"chain": "1"}], [1, 2, 3, 4, 5]),
        ([{"chain": "ethereum", "type": "chain.finalized"}], [4]),
        ([{"chain": 8453}], []),
        ([{"chain": "base"}, {"type": "stream.stale"}], [5]),
        ([{"solver": solver(1)}, {"token": "native"}, {"chain": 1}], [1, 2, 3, 4, 5]),
    ],
)
async def test_a_filter_lets_through_what_agrees_with_all_its_fields(
    filters: list[dict[str, object]], seqs: list[int]
) -> None:
    async with stage() as on:
        client = await on.client()
        await client.subscribe(filters=filters)
        on.tell(updated(1, 1), updated(1, 2, token=USDC), updated(2, 3))
        on.tell(finalized(5))
        on.tell(stale())
        assert [frame["seq"] for frame in await client.until_pong()] == seqs


async def test_an_event_that_two_subscriptions_want_is_sent_once() -> None:
    async with stage() as on:
        client = await on.client()
        await client.subscribe("1", filters=[{"solver": solver(1)}])
        await client.subscribe("2", filters=[{"chain": 1}, {"token": "native"}])
        await client.subscribe("3")
        on.tell(updated(1, 1), updated(2, 2))
        assert [frame["seq"] for frame in await client.until_pong()] == [1, 2]
        await client.send(op="unsubscribe", id="3")
        await client.until_pong()
        on.tell(updated(1, 3), updated(2, 4))
        assert [frame["seq"] for frame in await client.until_pong()] == [3, 4]


async def test_a_commit_of_thousands_arrives_whole_and_in_order() -> None:
    async with stage() as on:
        clients = [await on.client() for _ in range(3)]
        await clients[0].subscribe()
        await clients[1].subscribe(filters=[{"solver": solver(7)}])
        await clients[2].subscribe(filters=[{"chain": 1}])
        on.tell(*(updated(number % 50, number) for number in range(5_000)))
        on.tell(updated(7, 1))
        everything = [(await clients[0].read_event())["seq"] for _ in range(5_001)]
        assert everything == list(range(1, 5_002))
        assert [(await clients[1].read_event())["seq"] for _ in range(101)] == [*range(8, 5_001, 50), 5_001]
        assert [(await clients[2].read_event())["seq"] for _ in range(5_001)] == everything


async def test_a_commit_told_twice_is_sent_once() -> None:
    async with stage() as on:
        client = await on.client()
        await client.subscribe()
        commit = on.tell(updated(1, 1))
        on.hub.deliver(commit)
        assert len(await client.until_pong()) == 1


async def test_what_was_told_before_this_process_is_not_told_again() -> None:
    world = World()
    commit = world.commit(updated(1, 1), updated(2, 1))
    async with stage(world) as on:
        assert on.hub.positions() == {"chain:1": 2}
        client = await on.client()
        await client.subscribe()
        on.hub.deliver(commit)
        assert await client.until_pong() == []


async def test_heartbeats_say_where_every_stream_is() -> None:
    async with stage(limits=QUICK) as on:
        client = await on.client()
        on.tell(updated(1, 1), updated(2, 1))
        await client.subscribe()
        frame = await client.read()
        assert frame == {
            "type": "heartbeat",
            "time": "2026-11-21T01:02:03.456Z",
            "streams": {
                "chain:1": {
                    "block": 100,
                    "blockTime": "2026-11-21T01:02:03Z",
                    "lagSeconds": 0.0,
                    "state": "live",
                    "seq": 2,
                },
                "chain:8453": {
                    "block": 200,
                    "blockTime": "2026-11-21T01:02:03Z",
                    "lagSeconds": 0.0,
                    "state": "live",
                    "seq": 0,
                },
            },
        }


async def test_subscribers_are_counted_as_they_come_and_go() -> None:
    async with stage() as on:
        assert on.hub.subscribers == 0
        first, second = await on.client(), await on.client()
        await first.subscribe("1")
        await first.subscribe("2")
        await second.subscribe()
        assert on.hub.subscribers == 2
        await second.ws.close()
        await until(lambda: on.hub.subscribers == 1)
        assert on.hub.connections == 1
        await first.send(op="unsubscribe", id="1")
        await first.until_pong()
        assert on.hub.subscribers == 1
        await first.send(op="unsubscribe", id="2")
        await first.until_pong()
        assert on.hub.subscribers == 0


async def test_a_shutdown_is_told_with_1001() -> None:
    async with stage() as on:
        client = await on.client()
        await client.subscribe()
        code, _ = await asyncio.gather(client.close_code(), on.hub.close())
        assert code == 1001
        assert on.hub.subscribers == 0
