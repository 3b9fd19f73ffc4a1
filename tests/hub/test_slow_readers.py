"""Clients that read slowly or not at all, on real sockets: nobody else waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import orjson

from indexer.api.hub import Limits
from tests.hub.fakes import World, solver, updated
from tests.hub.stage import Stage, stage, until

CLOSE = 8


class RawClient:
    """A websocket client that reads only when asked to, with a receive buffer that is soon full."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, **frame: Any) -> None:
        payload = orjson.dumps(frame)
        assert len(payload) < 126
        self._writer.write(struct.pack("!BB", 0x81, 0x80 | len(payload)) + bytes(4) + payload)

    async def read(self) -> tuple[int, bytes]:
        first, size = await self._reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await self._reader.readexactly(2))
        elif size == 127:
            size = int.from_bytes(await self._reader.readexactly(8))
        return first & 15, await self._reader.readexactly(size)

    async def read_texts(self) -> AsyncIterator[dict[str, Any]]:
        """To the close frame, of which it makes the last item."""
        while True:
            opcode, payload = await asyncio.wait_for(self.read(), 10)
            if opcode == CLOSE:
                yield {"type": "close", "code": int.from_bytes(payload[:2]), "reason": payload[2:].decode()}
                return
            if opcode == 1:
                yield orjson.loads(payload)


@contextlib.asynccontextmanager
async def lazy_client(on: Stage) -> AsyncIterator[RawClient]:
    url = urlsplit(on.url)
    assert url.hostname is not None
    assert url.port is not None
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (url.hostname, url.port))
    # A small limit makes the stream stop reading from the socket almost at once.
    reader, writer = await asyncio.open_connection(sock=raw, limit=1024)
    writer.write(
        f"GET /ws HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert b"101" in await reader.readuntil(b"\r\n\r\n")
    client = RawClient(reader, writer)
    try:
        yield client
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def flood(on: Stage, events: int, *, first: int = 0) -> None:
    """Commits of a hundred over fifty wallets, giving the loop a turn after each."""
    for start in range(first, first + events, 100):
        on.tell(*(updated(number % 50, number) for number in range(start, start + 100)), project=False)
        await asyncio.sleep(0)


async def test_a_client_that_stops_reading_is_conflated_and_the_others_get_everything() -> None:
    dropped: list[int] = []
    limits = Limits(
        heartbeat_seconds=600, waiting_events=2_000
    )  # the last frame that is read is an event, however long all takes
    async with stage(limits=limits, on_conflation=dropped.append) as on, lazy_client(on) as lazy:
        quick = await on.client()
        await quick.subscribe()
        lazy.send(op="subscribe", id="1")
        await until(lambda: on.hub.subscribers == 2)
        for start in range(0, 8_000, 800):
            await flood(on, 800, first=start)
            assert [(await quick.read_event())["seq"] for _ in range(800)] == [*range(start + 1, start + 801)]

        frames = []
        async for frame in lazy.read_texts():
            frames.append(frame)
            if frame.get("seq") == 8_000:
                break
        events = [frame for frame in frames if "seq" in frame]
        conflated = [frame for frame in frames if frame["type"] == "conflated"]
        assert len(conflated) >= 1
        assert sum(frame["dropped"] for frame in conflated) == 8_000 - len(events) > 4_000
        assert sum(dropped) == 8_000 - len(events)
        seqs = [frame["seq"] for frame in events]
        assert seqs == sorted(set(seqs))
        newest = {frame["data"]["solverAddress"]: frame["data"]["newBalance"] for frame in events}
        assert newest == {solver(number): str(7_950 + number) for number in range(50)}

        on.tell(updated(1, 1))
        # On a busy machine all this takes longer than the pause between two heartbeats.
        later = (frame async for frame in lazy.read_texts() if frame["type"] != "heartbeat")
        assert (await anext(later))["seq"] == 8_001


async def test_a_client_that_reads_nothing_is_closed_with_1013_and_may_still_read_why() -> None:
    now = [0.0]
    async with stage(monotonic=lambda: now[0]) as on, lazy_client(on) as lazy:
        lazy.send(op="subscribe", id="1")
        await until(lambda: on.hub.subscribers == 1)
        await flood(on, 8_000)
        on.hub.tick()
        now[0] = 29.0
        on.hub.tick()
        assert on.hub.subscribers == 1
        now[0] = 31.0
        on.hub.tick()
        assert on.hub.subscribers == 0
        last = [frame async for frame in lazy.read_texts()][-1]
        assert last == {"type": "close", "code": 1013, "reason": "nothing was read for 30 s"}


async def test_the_socket_of_a_client_that_never_reads_is_cut_in_the_end() -> None:
    limits = Limits(stall_seconds=0.2, goodbye_seconds=0.1)
    async with stage(limits=limits) as on, lazy_client(on) as lazy:
        lazy.send(op="subscribe", id="1")
        await until(lambda: on.hub.subscribers == 1)
        await flood(on, 4_000)
        await until(lambda: on.hub.connections == 0)


async def test_a_client_that_reads_slowly_is_not_closed() -> None:
    now = [0.0]  # how long a busy machine takes says nothing about the client
    async with stage(monotonic=lambda: now[0]) as on, lazy_client(on) as lazy:
        lazy.send(op="subscribe", id="1")
        await until(lambda: on.hub.subscribers == 1)
        await flood(on, 5_000)
        frames = lazy.read_texts()
        for _ in range(20):
            for _ in range(100):
                await anext(frames)
            await asyncio.sleep(0.05)
            now[0] += 5.0
            on.hub.tick()
            assert on.hub.subscribers == 1


async def test_a_replaying_client_is_slowed_and_never_conflated() -> None:
    world = World()
    for start in range(0, 30_000, 100):
        world.commit(*(updated(number % 50, number) for number in range(start, start + 100)))
    async with stage(world) as on, lazy_client(on) as lazy:
        lazy.send(op="subscribe", id="1", after={"chain:1": 0})
        await until(lambda: len(world.pages) > 0)
        pages = -1
        while pages != len(world.pages):  # it stops asking once the client's buffers are full
            pages = len(world.pages)
            await asyncio.sleep(0.1)
        assert on.hub.positions()["chain:1"] == 30_000
        read: list[int] = []
        async for frame in lazy.read_texts():
            if "seq" in frame:
                read.append(frame["seq"])
            assert frame["type"] != "conflated"
            if frame.get("seq") == 30_000:
                break
        assert read == list(range(1, 30_001))


async def test_a_client_that_asks_without_reading_waits_for_itself() -> None:
    async with stage() as on, lazy_client(on) as lazy:
        lazy.send(op="subscribe", id="1")
        await until(lambda: on.hub.subscribers == 1)
        await flood(on, 4_000)
        for _ in range(1_000):
            lazy.send(op="ping")
        connection = next(iter(on.hub._connections))
        await until(lambda: connection.outbox._words >= 65)
        await asyncio.sleep(0.05)  # so long all the others could have been answered as well
        assert connection.outbox._words == 65
        quick = await on.client()
        assert await quick.until_pong() == []


async def test_a_client_whose_machine_is_gone_is_noticed() -> None:
    now = [0.0]
    async with stage(monotonic=lambda: now[0]) as on, lazy_client(on) as lazy:
        there = await on.client()
        await there.subscribe()
        reading = asyncio.create_task(there.close_code())
        lazy.send(op="subscribe", id="1")
        await until(lambda: on.hub.subscribers == 2)
        for second in range(0, 70, 5):
            now[0] = float(second)
            on.hub.tick()
            await asyncio.sleep(0.01)
        assert on.hub.subscribers == 1
        reading.cancel()
        last = [frame async for frame in lazy.read_texts()][-1]
        assert (last["code"], last["reason"]) == (1013, "nothing was heard for 60 s")


async def test_a_shutdown_does_not_wait_for_a_client_that_does_not_read() -> None:
    async with stage(limits=Limits(shutdown_seconds=0.2)) as on, lazy_client(on) as lazy:
        lazy.send(op="subscribe", id="1")
        await until(lambda: on.hub.subscribers == 1)
        await flood(on, 4_000)
        async with asyncio.timeout(1):
            await on.hub.close()
