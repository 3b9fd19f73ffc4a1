"""Following through lost connections, against a real hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from random import Random
from typing import Any

import pytest
from aiohttp import web

from indexer.api.hub import Limits
from indexer.client import (
    Conflated,
    Event,
    Forbidden,
    Gap,
    IndexerClient,
    Message,
    NoIndexer,
    Problem,
    Snapshot,
    Unauthorized,
)
from indexer.client.client import UNKNOWN_TIMES
from indexer.client.following import Following, StartOver
from tests.cli.test_foreign import FOREIGN
from tests.hub.fakes import World, solver, updated
from tests.hub.stage import Stage, stage, until

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BEATING = Limits(heartbeat_seconds=0.02)


@asynccontextmanager
async def client_of(url: str, **more: Any) -> AsyncIterator[IndexerClient]:
    async with IndexerClient(url, first_wait_seconds=0.01, **more) as client:
        yield client


async def take(messages: AsyncGenerator[Message, None], count: int) -> list[Message]:
    return [await asyncio.wait_for(anext(messages), 20) for _ in range(count)]


def cut(on: Stage) -> None:
    """The network drops every connection."""
    for transport in on.hub._connections.values():
        transport.abort()


def seqs(messages: list[Message], stream: str = "chain:1") -> list[int]:
    return [message.seq for message in messages if isinstance(message, Event) and message.stream == stream]


async def following(on: Stage) -> None:
    await until(lambda: on.hub.subscribers > 0)


async def test_events_are_typed_and_filtered() -> None:
    async with stage() as on, client_of(on.url) as client:
        async with aclosing(client.events({"chain": "ethereum", "solver": solver(1)})) as messages:
            first = asyncio.create_task(take(messages, 1))
            await following(on)
            on.tell(updated(2, 5), updated(1, 7))
            [event] = await first
        assert isinstance(event, Event)
        assert (event.type, event.stream, event.seq, event.epoch) == ("balance.updated", "chain:1", 2, "7f3a9c01")
        assert event.data["newBalance"] == "7"


async def test_a_lost_connection_is_resumed_without_loss_or_repetition() -> None:
    world = World()
    world.commit(updated(1, 0))
    async with stage(world) as on, client_of(on.url) as client, aclosing(client.events(snapshot=True)) as messages:
        [snapshot] = await take(messages, 1)
        assert isinstance(snapshot, Snapshot)
        assert snapshot.positions == {"chain:1": 1}
        on.tell(updated(1, 1))
        assert seqs(await take(messages, 1)) == [2]
        lost = set(on.hub._connections)
        cut(on)
        on.tell(updated(1, 2))
        on.tell(updated(1, 3, chain=8453))  # a stream that began while we were away
        on.tell(updated(1, 4, chain=8453))
        resuming = asyncio.create_task(take(messages, 4))
        await until(lambda: on.hub.subscribers > 0 and not lost & set(on.hub._connections))
        on.tell(updated(1, 5, chain=8453))
        got = await resuming
        assert seqs(got) == [3]
        assert seqs(got, "chain:8453") == [1, 2, 3]


async def test_a_filtered_client_learns_from_heartbeats_how_far_it_is() -> None:
    async with stage(limits=BEATING) as on, client_of(on.url) as client:
        on.tell(*(updated(2, number) for number in range(50)))
        async with aclosing(client.events({"solver": solver(1)})) as messages:
            first = asyncio.create_task(take(messages, 1))
            await following(on)
            beside = await on.client()
            await beside.subscribe(filters=[{"solver": solver(1)}])
            for _ in range(3):
                assert (await beside.read())["type"] == "heartbeat"
            cut(on)
            on.tell(updated(1, 1))
            assert seqs(await first) == [51]
            assert on.world.pages  # it came from the log


async def test_random_cuts_lose_nothing() -> None:
    random = Random(7)  # noqa: S311 - a script to replay, no secret
    world = World()
    world.commit(updated(1, 0))
    async with (
        stage(world, limits=BEATING) as on,
        client_of(on.url) as client,
        aclosing(client.events(after={"chain:1": 0, "chain:8453": 0})) as messages,
    ):
        told = {"chain:1": 1, "chain:8453": 0}
        got: dict[str, list[int]] = {"chain:1": [], "chain:8453": []}

        async def read() -> None:
            async for message in messages:
                if isinstance(message, Event):
                    got[message.stream].append(message.seq)

        reading = asyncio.create_task(read())
        for number in range(400):
            chain = random.choice((1, 8453))
            facts = [updated(number % 50, number, chain=chain) for _ in range(random.randint(1, 3))]
            told[f"chain:{chain}"] += len(facts)
            on.tell(*facts)
            if random.random() < 0.1:
                cut(on)
            await asyncio.sleep(random.choice((0, 0, 0.002)))
        await until(lambda: all(seqs and seqs[-1] == told[stream] for stream, seqs in got.items()))
        reading.cancel()
        await asyncio.wait([reading])
        assert got == {stream: list(range(1, last + 1)) for stream, last in told.items()}


async def test_a_gap_comes_with_a_snapshot_of_its_stream() -> None:
    world = World()
    for number in range(10):
        world.commit(updated(1, number))
    world.project()
    world.trim("chain:1", 8)
    async with (
        stage(world) as on,
        client_of(on.url) as client,
        aclosing(client.events(after={"chain:1": 3})) as messages,
    ):
        gap, snapshot = await take(messages, 2)
        assert gap == Gap("chain:1")
        assert isinstance(snapshot, Snapshot)
        assert snapshot.positions == {"chain:1": 10}
        on.tell(updated(1, 11))
        cut(on)
        assert seqs(await take(messages, 1)) == [11]


async def test_silence_is_taken_for_a_lost_connection() -> None:
    connections = 0

    async def mute(request: web.Request) -> web.WebSocketResponse:
        nonlocal connections
        connections += 1
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_json({"type": "subscribed", "id": "1"})
        async for _ in ws:
            pass
        return ws

    async with (
        serving(mute) as url,
        client_of(url, silence_seconds=0.05) as client,
        aclosing(client.events(after={"chain:1": 1})) as messages,
    ):
        assert await take(messages, 1) == [Gap(None)]  # it cannot know which streams there were
    assert connections >= 2


@pytest.mark.parametrize(("status", "error"), [(401, Unauthorized), (403, Forbidden)])
async def test_a_refused_key_is_the_end(status: int, error: type[Problem]) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with serving(refuse) as url, client_of(url, api_key="wrong") as client:
        with pytest.raises(error):
            await take(client.events(), 1)


@pytest.mark.parametrize("status", [200, 400, 404, 421])
async def test_an_address_that_never_was_an_indexer_is_an_error(status: int) -> None:
    async def other(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with serving(other) as url, client_of(url) as client:
        with pytest.raises(Problem) as refused:
            await take(client.events(), 1)
    assert refused.value.status == status
    assert "/ws" in str(refused.value)


def saying(text: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(text)
        await socket.receive()
        await socket.receive()
        return socket

    return handle


@pytest.mark.parametrize("frame", FOREIGN)
async def test_a_websocket_of_something_else_is_an_error(frame: str) -> None:
    async with serving(saying(frame)) as url, client_of(url) as client:
        with pytest.raises(NoIndexer, match=r"not as the indexer does \(status 101\)"):
            await take(client.events(), 1)


async def test_a_proxy_that_speaks_for_the_service_for_a_while_is_asked_again() -> None:
    connections = 0
    world = World()
    world.commit(updated(1, 0))
    async with stage(world) as on:

        async def sometimes(request: web.Request) -> web.StreamResponse:
            nonlocal connections
            connections += 1
            return await (saying("back soon") if connections == 2 else on.hub.handle)(request)

        async with (
            serving(sometimes) as url,
            client_of(url) as client,
            aclosing(client.events(snapshot=True)) as messages,
        ):
            assert isinstance((await take(messages, 1))[0], Snapshot)
            cut(on)
            on.tell(updated(1, 1))
            assert seqs(await take(messages, 1)) == [2]
    assert connections == 3


@pytest.mark.parametrize(("status", "away"), [(404, (2, 3)), (429, (1, 2))])
async def test_a_proxy_that_does_not_find_the_service_for_a_while_is_asked_again(
    status: int, away: tuple[int, ...]
) -> None:
    connections = 0
    world = World()
    world.commit(updated(1, 0))
    async with stage(world) as on:

        async def sometimes(request: web.Request) -> web.StreamResponse:
            nonlocal connections
            connections += 1
            return web.Response(status=status) if connections in away else await on.hub.handle(request)

        async with (
            serving(sometimes) as url,
            client_of(url) as client,
            aclosing(client.events(snapshot=True)) as messages,
        ):
            assert isinstance((await take(messages, 1))[0], Snapshot)
            cut(on)
            on.tell(updated(1, 1))
            assert seqs(await take(messages, 1)) == [2]
    assert connections > max(away)


async def test_a_service_that_is_not_there_yet_is_waited_for() -> None:
    attempts = 0
    async with stage() as on:

        async def later(request: web.Request) -> web.StreamResponse:
            nonlocal attempts
            attempts += 1
            return await on.hub.handle(request) if attempts > 3 else web.Response(status=503)

        async with (
            serving(later) as url,
            client_of(url) as client,
            aclosing(client.events(snapshot=True)) as messages,
        ):
            assert isinstance((await take(messages, 1))[0], Snapshot)
    assert attempts == 4


async def test_filters_that_the_service_refuses_are_an_error() -> None:
    async with stage() as on, client_of(on.url) as client:
        with pytest.raises(Problem) as refused:
            await take(client.events({"chain": "nowhere"}), 1)
        assert (refused.value.status, refused.value.field) == (404, "filters[0].chain")


@asynccontextmanager
async def forgetful(on: Stage, refusals: int, status: int = 404) -> AsyncIterator[str]:
    """A service that takes the first connection, and says of the next ones that it does not know what is asked for."""
    connections = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal connections
        connections += 1
        if not 1 < connections <= 1 + refusals:
            return await on.hub.handle(request)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.receive()
        problem = {"status": status, "title": "Not Found", "detail": "no account of 'okx' is followed"}
        await ws.send_json({"type": "error", "id": "1", "problem": problem})
        await ws.close()
        return ws

    async with serving(handle) as url:
        yield url


async def test_filters_that_were_taken_once_are_tried_again_where_what_they_name_is_unknown() -> None:
    async with (
        stage(limits=BEATING) as on,
        forgetful(on, UNKNOWN_TIMES) as url,
        client_of(url, jitter=lambda: 0.0) as client,
        aclosing(client.events({"solver": solver(1)}, snapshot=True)) as messages,
    ):
        await take(messages, 1)
        cut(on)
        on.tell(updated(1, 1))
        assert seqs(await take(messages, 1)) == [1]


@pytest.mark.parametrize(("refusals", "status"), [(UNKNOWN_TIMES + 1, 404), (1, 400), (1, 422)])
async def test_filters_that_were_taken_once_are_an_error_where_they_stay_unknown_or_are_wrong(
    refusals: int, status: int
) -> None:
    async with (
        stage(limits=BEATING) as on,
        forgetful(on, refusals, status) as url,
        client_of(url, jitter=lambda: 0.0) as client,
        aclosing(client.events({"solver": solver(1)}, snapshot=True)) as messages,
    ):
        await take(messages, 1)
        cut(on)
        on.tell(updated(1, 1))
        with pytest.raises(Problem, match="no account of 'okx' is followed") as refused:
            await take(messages, 1)
        assert refused.value.status == status


async def test_the_key_goes_into_a_header_and_never_into_the_address() -> None:
    seen: list[web.Request] = []

    async def look(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return web.Response(status=401)

    async with serving(look) as url, client_of(url, api_key="s3cret") as client:
        with pytest.raises(Unauthorized):
            await take(client.events(), 1)
    assert seen[0].headers["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in str(seen[0].url)


# --- what is remembered, without a connection


def event(seq: int, *, stream: str = "chain:1", epoch: str = "e1") -> dict[str, Any]:
    name = f"{epoch}:{stream}:{seq}"
    return {"type": "balance.updated", "id": name, "stream": stream, "seq": seq, "time": "", "data": {}}


def heartbeat(**seqs: int) -> dict[str, Any]:
    return {
        "type": "heartbeat",
        "time": "",
        "streams": {f"chain:{name[1:]}": {"seq": seq} for name, seq in seqs.items()},
    }


SUBSCRIBED = {"type": "subscribed", "id": "1"}


def test_an_event_is_given_once() -> None:
    state = Following()
    state.connected()
    assert [list(state.heard(event(seq)))[:1] == [] for seq in (4, 5, 4, 5, 6)] == [False, False, True, True, False]


def test_a_snapshot_that_did_not_arrive_is_asked_for_again() -> None:
    state = Following(snapshot=True)
    state.connected()
    list(state.heard(SUBSCRIBED))
    list(state.heard(heartbeat(c1=9)))
    again = state.connected()
    assert again["snapshot"] is True
    assert "after" not in again


def test_after_a_snapshot_what_it_says_is_where_to_go_on() -> None:
    state = Following(snapshot=True)
    state.connected()
    list(state.heard({"type": "snapshot", "id": "1", "items": [], "positions": {"chain:1": 7, "chain:2": 0}}))
    list(state.heard(event(8)))
    assert state.connected() == {"op": "subscribe", "id": "2", "filters": [], "after": {"chain:1": 8, "chain:2": 0}}


def test_a_snapshot_does_not_move_on_a_stream_whose_missed_events_follow() -> None:
    state = Following(after={"chain:1": 3}, snapshot=True)
    state.connected()
    list(state.heard({"type": "snapshot", "id": "1", "items": [], "positions": {"chain:1": 7, "chain:2": 5}}))
    assert state.last == {"chain:1": 3, "chain:2": 5}
    assert len(list(state.heard(event(4)))) == 1


def test_a_gap_whose_snapshot_did_not_arrive_is_found_again() -> None:
    state = Following(after={"chain:1": 3})
    state.connected()
    assert list(state.heard({"type": "gap", "stream": "chain:1"})) == [Gap("chain:1")]
    list(state.heard(heartbeat(c1=9)))
    assert state.connected()["after"] == {"chain:1": 3}


def test_another_store_s_numbers_void_what_is_remembered() -> None:
    state = Following(after={"chain:1": 3})
    state.connected()
    list(state.heard(event(4)))
    heard = state.heard(event(5, epoch="e2"))
    assert next(heard) == Gap(None)
    with pytest.raises(StartOver):
        next(heard)
    assert state.connected() == {"op": "subscribe", "id": "2", "filters": [], "snapshot": True}


def test_a_stream_that_began_meanwhile_is_asked_for_from_its_first_event() -> None:
    state = Following()
    state.connected()
    list(state.heard(heartbeat(c1=5)))
    state.connected()
    with pytest.raises(StartOver):
        list(state.heard(heartbeat(c1=5, c2=3)))
    assert state.connected()["after"] == {"chain:1": 5, "chain:2": 0}


def test_a_stream_that_began_meanwhile_and_was_not_followed_when_we_came_back_is_asked_for_once_it_is() -> None:
    """Its chain was taken out of the file, so that no heartbeat named it, and is named again."""
    state = Following(snapshot=True)
    state.connected()
    list(state.heard({"type": "snapshot", "id": "1", "items": [], "positions": {}}))
    state.connected()
    list(state.heard(heartbeat(c1=0)))
    with pytest.raises(StartOver):
        list(state.heard(event(14, stream="chain:2")))
    assert state.connected()["after"] == {"chain:1": 0, "chain:2": 0}
    assert [message.seq for message in state.heard(event(1, stream="chain:2")) if isinstance(message, Event)] == [1]


def test_without_a_snapshot_what_an_unknown_stream_told_before_is_not_asked_for() -> None:
    """It may have been told before we came at all: heartbeats name what is followed, and nothing else."""
    state = Following()
    state.connected()
    list(state.heard(heartbeat(c1=0)))
    state.connected()
    list(state.heard(heartbeat(c1=0)))
    assert len(list(state.heard(event(14, stream="chain:2")))) == 1


def test_a_lost_connection_before_any_baseline_is_told_as_a_gap() -> None:
    state = Following()
    state.connected()
    assert list(state.heard(SUBSCRIBED)) == []
    state.connected()
    assert list(state.heard(SUBSCRIBED)) == [Gap(None)]


def test_conflation_is_passed_on_and_what_is_unknown_is_not() -> None:
    state = Following()
    state.connected()
    assert list(state.heard({"type": "conflated", "dropped": 9})) == [Conflated(9)]
    assert list(state.heard({"type": "pong"})) == list(state.heard({"type": "news"})) == []


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/ws", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
