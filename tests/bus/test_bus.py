"""Events reach a real nats-server in order and once, and whatever it refuses is said with what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from indexer.bus import Login, NatsBus, StreamPlan, bus, login
from indexer.domain.telling.subjects import ROOTS, Notice
from indexer.errors import BusRefuses, BusUnreachable, EventTooLarge, EventUnwritable
from tests.bus.notices import notice
from tests.fixtures.nats import NatsServer, ids, stored, talking

pytestmark = pytest.mark.nats

PLAN = StreamPlan("indexer", 7, 0, 1)
MakeNats = Callable[..., NatsServer]


def notices(first: int, last: int) -> list[Notice]:
    return [notice(seq) for seq in range(first, last + 1)]


def names(first: int, last: int) -> list[str]:
    return [each.id for each in notices(first, last)]


@asynccontextmanager
async def opened(server: NatsServer, plan: StreamPlan = PLAN, **options: Any) -> AsyncIterator[NatsBus]:
    made = NatsBus(Login(**{"urls": (server.url,), **options}), plan)
    try:
        await made.open(lambda: None)
        yield made
    finally:
        await made.close()


async def test_the_stream_is_made_as_the_plan_says(nats_server: NatsServer) -> None:
    async with opened(nats_server, StreamPlan("desk", 2, 8, 1)), talking(nats_server) as client:
        config = (await client.jetstream().stream_info("desk")).config
    assert config.subjects == [f"{root}.>" for root in ROOTS]
    assert (config.max_age, config.max_bytes, config.num_replicas) == (2 * 86_400, 8 * 1024 * 1024, 1)
    assert (config.duplicate_window, config.storage, config.discard) == (600, "file", "old")


async def test_a_plan_without_bounds_makes_a_stream_without_bounds(nats_server: NatsServer) -> None:
    async with opened(nats_server, StreamPlan("desk", 0, 0, 1)), talking(nats_server) as client:
        config = (await client.jetstream().stream_info("desk")).config
    assert (config.max_age, config.max_bytes) == (0, -1)


async def test_what_is_published_is_stored_in_order_and_once(nats_server: NatsServer) -> None:
    async with opened(nats_server) as bus:
        assert await bus.publish(notices(1, 100)) == 100
        assert await bus.publish(notices(51, 150)) == 100
    assert ids(await stored(nats_server)) == names(1, 150)


async def test_headers_carry_the_id_of_the_event(nats_server: NatsServer) -> None:
    async with opened(nats_server) as bus, talking(nats_server) as client:
        follower = await client.subscribe("balance.>")
        await client.flush()
        await bus.publish([notice(1)])
        message = await follower.next_msg(timeout=5)
    assert message.headers is not None
    assert message.headers["Nats-Msg-Id"] == "e:chain:1:1"


async def test_what_follows_a_refused_event_is_refused_with_it(make_nats: MakeNats) -> None:
    server = make_nats()
    await server.start()
    async with talking(server) as client:
        await client.jetstream().add_stream(name="indexer", subjects=[f"{r}.>" for r in ROOTS], max_msg_size=400)
    async with opened(server) as bus:
        assert await bus.publish([notice(1), notice(2, size=500), notice(3), notice(4)]) == 1
        with pytest.raises(EventTooLarge):
            await bus.publish([notice(2, size=500), notice(3)])
        assert await bus.publish([notice(3), notice(4)]) == 2
    assert ids(await stored(server)) == ["e:chain:1:1", "e:chain:1:3", "e:chain:1:4"]


async def test_others_may_publish_in_between_and_the_order_stays(nats_server: NatsServer) -> None:
    async with opened(nats_server) as bus, talking(nats_server) as client:

        async def chatter() -> None:
            while True:
                await client.publish("balance.someone.else", b'{"id":"foreign","stream":"other"}')
                await client.flush()

        noise = asyncio.create_task(chatter())
        todo = notices(1, 400)
        while todo:
            todo = todo[await bus.publish(todo[:50]) :]
        noise.cancel()
    assert ids(await stored(nats_server), "chain:1") == names(1, 400)


async def test_an_event_larger_than_any_message_may_be_is_named(nats_server: NatsServer) -> None:
    async with opened(nats_server) as bus:
        assert await bus.publish([notice(1), notice(2, size=1_100_000), notice(3)]) == 1
        with pytest.raises(EventTooLarge, match="1048576 bytes"):
            await bus.publish([notice(2, size=1_100_000), notice(3)])


async def test_an_event_of_which_no_json_can_be_made_is_named(nats_server: NatsServer) -> None:
    lone = replace(notice(2), body={"id": "e:chain:1:2", "text": "\ud800"})
    async with opened(nats_server) as bus:
        assert await bus.publish([notice(1), lone, notice(3)]) == 1
        with pytest.raises(EventUnwritable, match="surrogates"):
            await bus.publish([lone, notice(3)])
        assert await bus.publish([notice(3)]) == 1
    assert ids(await stored(nats_server)) == ["e:chain:1:1", "e:chain:1:3"]


async def test_a_stream_that_is_there_is_used_as_it_is(nats_server: NatsServer) -> None:
    async with talking(nats_server) as client:
        subjects = [*(f"{root}.>" for root in ROOTS), "more.>"]
        await client.jetstream().add_stream(name="indexer", subjects=subjects, max_msgs=50)
        async with opened(nats_server) as bus:
            await bus.publish(notices(1, 100))
        assert (await client.jetstream().stream_info("indexer")).config.max_msgs == 50
    assert ids(await stored(nats_server)) == names(51, 100)


async def test_streams_under_other_names_are_used_where_they_take_everything(nats_server: NatsServer) -> None:
    async with talking(nats_server) as client:
        await client.jetstream().add_stream(name="money", subjects=["balance.>", "positions.>", "funding_fees.>"])
        await client.jetstream().add_stream(name="rest", subjects=["alerts.>", "streams.>"])
    async with opened(nats_server) as bus:
        mixed = [notice(1), notice(2, "streams.chain:1"), notice(3), notice(4, "alerts.x"), notice(5)]
        assert await bus.publish(mixed) == 5
    assert ids(await stored(nats_server, "money")) == ["e:chain:1:1", "e:chain:1:3", "e:chain:1:5"]
    assert ids(await stored(nats_server, "rest")) == ["e:chain:1:2", "e:chain:1:4"]


@pytest.mark.parametrize("name", ["indexer", "other"])
async def test_a_stream_that_takes_only_a_part_is_refused_with_what_to_do(nats_server: NatsServer, name: str) -> None:
    async with talking(nats_server) as client:
        await client.jetstream().add_stream(name=name, subjects=["balance.>", "positions.*.*"])
    with pytest.raises(BusRefuses, match=r"no stream takes positions\.> as a whole \('(indexer|other)' there does not"):
        async with opened(nats_server):
            pass


@pytest.mark.parametrize("name", ["indexer", "other"])
async def test_a_stream_that_acknowledges_nothing_is_refused_with_that_reason(
    nats_server: NatsServer, name: str
) -> None:
    async with talking(nats_server) as client:
        await client.jetstream().add_stream(name=name, subjects=[f"{r}.>" for r in ROOTS], no_ack=True)
    with pytest.raises(BusRefuses, match=rf"the stream '{name}' .* acknowledges nothing \(no_ack\)"):
        async with opened(nats_server):
            pass


async def test_a_stream_that_takes_even_what_jetstream_is_asked_is_refused(nats_server: NatsServer) -> None:
    async with talking(nats_server) as client:
        await client.jetstream().add_stream(name="indexer", subjects=["*.>"])
    with pytest.raises(BusRefuses, match="own subjects"):
        async with opened(nats_server):
            pass


async def test_a_full_stream_that_drops_nothing_says_so(nats_server: NatsServer) -> None:
    async with talking(nats_server) as client:
        await client.jetstream().add_stream(
            name="indexer", subjects=[f"{r}.>" for r in ROOTS], max_msgs=3, discard="new"
        )
    async with opened(nats_server) as bus:
        assert await bus.publish(notices(1, 5)) == 3
        with pytest.raises(BusRefuses, match="no room"):
            await bus.publish(notices(4, 5))


async def test_a_server_without_jetstream_is_named_so(make_nats: MakeNats) -> None:
    server = make_nats(jetstream=False)
    await server.start()
    with pytest.raises((BusRefuses, BusUnreachable), match="-js"):
        async with opened(server):
            pass


async def test_a_server_that_is_not_there_is_named_and_the_next_one_is_asked(nats_server: NatsServer) -> None:
    async with opened(nats_server, urls=("nats://127.0.0.1:1", nats_server.url)) as bus:
        assert await bus.publish([notice(1)]) == 1
    with pytest.raises(BusUnreachable, match=r"^127\.0\.0\.1:1 does not answer: "):
        async with opened(nats_server, urls=("nats://user:geheim@127.0.0.1:1",)):
            pass


async def test_a_killed_server_ends_the_connection_at_once_and_opening_again_goes_on(nats_server: NatsServer) -> None:
    lost = asyncio.Event()
    made = NatsBus(Login((nats_server.url,)), PLAN)
    await made.open(lost.set)
    await made.publish(notices(1, 10))
    nats_server.kill()
    await asyncio.wait_for(lost.wait(), 20)
    with pytest.raises(BusUnreachable):
        await made.publish([notice(11)])
    await nats_server.start()
    await made.open(lost.set)
    assert await made.publish(notices(1, 20)) == 20
    await made.close()
    assert ids(await stored(nats_server)) == names(1, 20)


async def test_a_server_that_lost_its_storage_gets_its_stream_again(nats_server: NatsServer) -> None:
    async with opened(nats_server) as bus:
        await bus.publish(notices(1, 10))
        nats_server.kill()
        nats_server.lose_everything()
        await nats_server.start()
        await bus.open(lambda: None)
        assert await bus.publish(notices(11, 20)) == 10
    assert ids(await stored(nats_server)) == names(11, 20)


async def test_a_stream_that_is_deleted_under_us_ends_the_connection(nats_server: NatsServer) -> None:
    async with opened(nats_server) as bus, talking(nats_server) as client:
        await bus.publish(notices(1, 10))
        await client.jetstream().delete_stream("indexer")
        with pytest.raises(BusUnreachable, match="no stream takes it any more"):
            await bus.publish(notices(11, 20))
        await bus.open(lambda: None)
        assert await bus.publish(notices(11, 20)) == 10


async def test_a_server_that_stands_still_is_given_up(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(login, "CLOSE_SECONDS", 0.1)
    async with opened(nats_server) as made:
        await nats_server.freeze()
        with pytest.raises(BusUnreachable, match=r"did not say within 0\.3 s"):
            await made.publish(notices(1, 10))
        nats_server.thaw()
        await made.open(lambda: None)
        assert await made.publish(notices(1, 20)) == 20
    assert ids(await stored(nats_server)) == names(1, 20)
