"""The queue of one client: what waits, what is left out, and that the newest state survives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from indexer.api.hub.filters import Filter, Interests, Wanted
from indexer.api.hub.frames import Told, json_frame, told
from indexer.api.hub.outbox import Outbox
from indexer.domain.balances import BalanceUpdated
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import ChainFact
from indexer.domain.telling.streams import chain_stream
from tests.hub.fakes import EPOCH, TIME, USDC, finalized, reverted, solver, stale, updated
from tests.hub.test_accounts import paid

HIGH = 1_000


class Socket:
    """Takes what it is given, and empties only when told to."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.buffered = 0
        self._empty = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.frames.append(data)
        self.buffered += len(data)

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def read(self) -> None:
        self.buffered = 0
        self._empty.set()
        self._empty.clear()

    async def drain(self) -> None:
        while self.buffered > HIGH:
            await self._empty.wait()

    def received(self) -> list[dict[str, Any]]:
        return decoded(b"".join(self.frames))


async def settled() -> None:
    """Neither the socket nor the outbox waits for time to pass: after so many turns whatever could go out is out."""
    for _ in range(100):
        await asyncio.sleep(0)


def decoded(data: bytes) -> list[dict[str, Any]]:
    """Unmasked text frames, whole ones only."""
    frames = []
    at = 0
    while at < len(data):
        assert data[at] == 0x81
        size, head = data[at + 1], 2
        if size == 126:
            size, head = int.from_bytes(data[at + 2 : at + 4]), 4
        elif size == 127:
            size, head = int.from_bytes(data[at + 2 : at + 10]), 10
        frames.append(orjson.loads(data[at + head : at + head + size]))
        at += head + size
    assert at == len(data)
    return frames


def _never(told: Told) -> None:
    raise AssertionError(told)


def outbox_on(socket: Socket, *, limit: int = 10, on_overflow: Callable[[], None] = lambda: None) -> Outbox:
    return Outbox(
        socket,
        socket.drain,
        high_water=HIGH,
        limit=limit,
        on_conflation=lambda _dropped: None,
        on_overflow=on_overflow,
        on_unwritable=_never,
    )


def events_of(facts: list[ChainFact]) -> list[Told]:
    """Numbered per stream in the order given."""
    seqs: dict[str, int] = {}
    events = []
    for fact in facts:
        stream = chain_stream(fact.chain_id)
        seqs[stream] = seqs.get(stream, 0) + 1
        events += told(Commit("id", stream, seqs[stream], TIME, (fact,)), EPOCH)
    return events


def state_after(frames: list[dict[str, Any]]) -> dict[Hashable, Any]:
    """What a client knows that keeps the newest balance per key, and the newest of every other type."""
    known: dict[Hashable, Any] = {}
    for frame in frames:
        if frame["type"].startswith("balance."):
            data = frame["data"]
            known[data["chainId"], data["tokenAddress"], data["solverAddress"]] = data["newBalance"]
        elif "seq" in frame:
            known[frame["type"], frame["stream"], frame["data"].get("level")] = frame["data"]
    return known


wallets = st.integers(0, 4)
chains = st.sampled_from([1, 8453])
tokens = st.sampled_from(["native", USDC])
facts = st.one_of(
    st.builds(updated, wallets, st.integers(0, 99), chain=chains, token=tokens),
    st.builds(reverted, wallets, st.integers(0, 99), chain=chains, token=tokens),
    st.builds(finalized, st.integers(1, 99), chains),
    st.builds(stale, chains),
)


@given(st.lists(st.one_of(facts, st.just("read"), st.just("say")), max_size=80), st.integers(0, 12))
def test_the_state_after_conflation_is_the_state_after_all_events(script: list[Any], limit: int) -> None:
    async def play() -> None:
        socket = Socket()
        outbox = outbox_on(socket, limit=limit)
        events = iter(events_of([step for step in script if not isinstance(step, str)]))
        everything = []
        said = 0
        for step in script:
            if step == "read":
                socket.read()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            elif step == "say":
                outbox.say(json_frame({"type": "said", "number": (said := said + 1)}))
            else:
                event = next(events)
                everything.append(event)
                outbox.tell(event.frame(), [event])
        while not outbox.idle:
            socket.read()
            await asyncio.sleep(0)
        got = socket.received()
        whole = decoded(b"".join(event.frame() for event in everything))
        assert state_after(got) == state_after(whole)
        assert [frame["number"] for frame in got if frame["type"] == "said"] == list(range(1, said + 1))
        assert _dropped(got) == len(whole) - len([frame for frame in got if "seq" in frame])
        for stream in ("chain:1", "chain:8453"):
            seqs = [frame["seq"] for frame in got if frame.get("stream") == stream]
            assert seqs == sorted(set(seqs))

    asyncio.run(play())


def _dropped(frames: list[dict[str, Any]]) -> int:
    return sum(frame["dropped"] for frame in frames if frame["type"] == "conflated")


async def test_nothing_is_left_out_up_to_the_limit() -> None:
    socket = Socket()
    outbox = outbox_on(socket, limit=10)
    events = events_of([updated(1, number) for number in range(11)])
    socket.buffered = 2 * HIGH
    outbox.say(b"\x81\x02{}")
    for event in events[:10]:
        outbox.tell(event.frame(), [event])
    socket.read()
    await settled()
    assert [frame["seq"] for frame in socket.received()[1:]] == list(range(1, 11))
    assert outbox.conflations == 0


async def test_past_the_limit_the_newest_state_follows_a_word_about_it() -> None:
    socket = Socket()
    outbox = outbox_on(socket, limit=10)
    events = events_of([*(updated(number % 2, number) for number in range(10)), finalized(3)])
    socket.buffered = 2 * HIGH
    outbox.say(b"\x81\x02{}")
    outbox.tell(b"", events)
    socket.read()
    await settled()
    frames = socket.received()[1:]
    assert frames[0] == {"type": "conflated", "dropped": 8}
    assert [frame["seq"] for frame in frames[1:]] == [9, 10, 11]
    socket.read()
    await settled()
    assert outbox.idle


def payments(count: int) -> list[Told]:
    commit = Commit("id", "exchange:binance:desk", 1, TIME, tuple(paid(number) for number in range(count)))
    return told(commit, EPOCH)


async def test_payments_are_all_kept_up_to_the_limit_and_balances_give_way_to_them() -> None:
    overflows: list[bool] = []
    socket = Socket()
    outbox = outbox_on(socket, on_overflow=lambda: overflows.append(True))
    socket.buffered = 2 * HIGH
    outbox.say(b"\x81\x02{}")
    for event in (*events_of([updated(1, number) for number in range(8)]), *payments(10)):
        outbox.tell(event.frame(), [event])
    while not outbox.idle:
        socket.read()
        await asyncio.sleep(0)
    frames = socket.received()[1:]
    assert frames[0] == {"type": "conflated", "dropped": 7}
    assert [frame["data"]["id"] for frame in frames if frame["type"] == "funding_fee"] == [str(n) for n in range(10)]
    outbox.tell(b"", payments(10))  # those that were read do not count
    await asyncio.sleep(0)
    assert overflows == []


async def test_past_the_limit_of_payments_nothing_more_is_kept_and_the_owner_hears_of_it_once() -> None:
    overflows: list[bool] = []
    socket = Socket()
    outbox = outbox_on(socket, on_overflow=lambda: overflows.append(True))
    socket.buffered = 2 * HIGH
    outbox.say(b"\x81\x02{}")
    for event in payments(50):
        outbox.tell(event.frame(), [event])
    assert len(outbox._waiting) == 11
    await asyncio.sleep(0)
    assert overflows == [True]
    outbox.shut()


async def test_a_shut_outbox_takes_nothing_more_and_wakes_who_waits() -> None:
    socket = Socket()
    outbox = outbox_on(socket)
    socket.buffered = 2 * HIGH
    outbox.say(b"\x81\x02{}")
    outbox.say(b"\x81\x02{}")
    waiting = asyncio.create_task(outbox.room())
    await asyncio.sleep(0)
    outbox.shut()
    await asyncio.wait_for(waiting, 20)
    outbox.say(b"\x81\x02{}")
    outbox.tell(b"", events_of([updated(1, 1)]))
    socket.read()
    await settled()
    assert len(socket.frames) == 1


async def test_a_socket_that_is_gone_raises_nothing() -> None:
    class Gone(Socket):
        def write(self, data: bytes) -> None:
            raise RuntimeError(f"the handler is closed; {len(data)} bytes are lost")

    outbox = outbox_on(Gone())
    event = events_of([updated(1, 1)])
    outbox.tell(event[0].frame(), event)
    assert outbox.closed
    outbox.leave(b"")


async def test_only_a_socket_that_takes_nothing_is_stalled() -> None:
    socket = Socket()
    outbox = outbox_on(socket)
    outbox.say(b"x" * 400)
    assert outbox.stalled_seconds(0) == 0
    assert outbox.stalled_seconds(20) == 20
    socket.buffered = 399  # one byte was taken
    assert outbox.stalled_seconds(25) == 0
    assert outbox.stalled_seconds(54) == 29
    socket.read()
    assert outbox.stalled_seconds(60) == 0
    assert outbox.stalled_seconds(100) == 0


filters = st.lists(
    st.builds(
        Filter,
        type=st.sampled_from([None, "balance.updated", "chain.finalized"]),
        chain=st.sampled_from([None, 1, 8453]),
        token=st.sampled_from([None, "native", USDC]),
        solver=st.sampled_from([None, solver(0), solver(1)]),
    ),
    min_size=1,
    max_size=4,
)


@given(st.lists(filters, max_size=6), st.lists(facts, max_size=8), st.sets(st.integers(0, 5)))
def test_the_index_finds_what_asking_every_filter_finds(
    readers: list[list[Filter]], script: list[ChainFact], leaving: set[int]
) -> None:
    interests: Interests[int] = Interests()
    added = [interests.add(reader, wanted) for reader, wanted in enumerate(readers)]
    for reader in leaving & set(range(len(readers))):
        interests.remove(added[reader])
    events = events_of(script)
    found = dict.fromkeys(interests.everything, events)
    found.update(interests.matched(events))
    expected = {
        reader: [event for event in events if any(one.accepts(event) for one in wanted)]
        for reader, wanted in enumerate(readers)
        if reader not in leaving
    }
    assert {reader: wanted for reader, wanted in found.items() if wanted} == {
        reader: wanted for reader, wanted in expected.items() if wanted
    }
    for reader in set(range(len(readers))) - leaving:
        interests.remove(added[reader])
    assert not interests
    for wanted in readers:
        assert [Wanted(wanted).accepts(event) for event in events] == [
            any(one.accepts(event) for one in wanted) for event in events
        ]
        for fact in script:
            if isinstance(fact, BalanceUpdated):
                covered = any(one.covers(fact.chain_id, fact.holding) for one in wanted)
                assert Wanted(wanted).covers(fact.chain_id, fact.holding) == covered
