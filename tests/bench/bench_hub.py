"""One event to 500 subscribers, ours against a bare aiohttp loop; the readers live in another process.

`python -m tests.bench.bench_hub` prints the table. Both servers run in this process and are measured in turns, an
event at a time: from handing it over until the last of the 500 has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final, cast

import orjson
import uvloop
from aiohttp import web

from indexer.api.hub import Hub, Limits
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.events import event_json
from tests.bench.rows import Row, print_rows
from tests.hub.fakes import EPOCH, World, solver, updated

SUBSCRIBERS: Final = 500
EVENTS: Final = 200
ROUNDS: Final = 5
WARM_UP: Final = 10
STALLED_BACKLOG: Final = 30_000
SUBSCRIBE: Final = b'{"op":"subscribe","id":"1"}'

LIMITS: Final = Limits(heartbeat_seconds=3_600, stall_seconds=3_600, silence_seconds=36_000)


async def run() -> list[Row]:
    """The rows of the hub; about half a minute."""
    async with contextlib.AsyncExitStack() as stack:
        floor = await stack.enter_async_context(_bare_server())
        hub = await stack.enter_async_context(_hub_server())
        narrow = await stack.enter_async_context(_hub_server(filtered=True))
        stalled = await stack.enter_async_context(_hub_server(with_stalled=True))
        servers = (floor, hub, narrow, stalled)
        singles: dict[_Server, list[float]] = {server: [] for server in servers}
        bursts: dict[_Server, list[float]] = {server: [] for server in servers}
        for server in servers:
            await _one_by_one(server, WARM_UP)
        # In turns, and nobody always after the same: what else the machine does hits all alike.
        for turn in range(EVENTS):
            for server in sorted(servers, key=lambda server: hash((turn, id(server)))):
                singles[server] += await _one_by_one(server, 1)
        for _ in range(ROUNDS):
            for server in servers:
                bursts[server].append(await _burst(server, EVENTS))
    p50 = {server: statistics.median(singles[server]) * 1_000 for server in servers}
    burst = {server: SUBSCRIBERS * EVENTS / statistics.median(bursts[server]) / 1_000 for server in servers}
    return [
        Row("hub: one event to 500 subscribers, p50", p50[hub], p50[floor], p50[floor] / p50[hub], 0.7),
        Row("hub: the same, each with its own filter", p50[narrow], p50[floor], p50[floor] / p50[narrow], 0.7),
        Row("hub: 200 events to 500 subscribers", burst[hub], burst[floor], burst[hub] / burst[floor], 0.7, "k/s"),
        Row(
            "hub: one of 501 subscribers stopped reading, p50",
            p50[stalled],
            p50[hub],
            p50[stalled] / p50[hub],
            1.05,
            at_most=True,
        ),
    ]


class _Server:
    """Something that sends an event to everybody, and readers who say when they have it."""

    def __init__(self, send: Callable[[], Awaitable[None]]) -> None:
        self.send = send
        self.sent = 0
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    @contextlib.asynccontextmanager
    async def readers(self, port: int, filtered: bool) -> AsyncIterator[None]:
        arrived: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.get_running_loop().create_future()
        )
        control = await asyncio.start_server(lambda r, w: arrived.set_result((r, w)), "127.0.0.1", 0)
        back = control.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.bench_hub", str(port), str(back), "filtered" if filtered else "all"
        )
        try:
            self._reader, self._writer = await arrived
            await self._reader.readline()
            yield
            self._writer.close()
        finally:
            control.close()
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def all_received(self) -> None:
        self._writer.write(b"%d\n" % (self.sent * SUBSCRIBERS))
        await self._reader.readline()


async def _one_by_one(server: _Server, events: int) -> list[float]:
    times = []
    for _ in range(events):
        server.sent += 1
        start = time.perf_counter()
        await server.send()
        await server.all_received()
        times.append(time.perf_counter() - start)
    return times


async def _burst(server: _Server, events: int) -> float:
    start = time.perf_counter()
    for _ in range(events):
        server.sent += 1
        await server.send()
    await server.all_received()
    return time.perf_counter() - start


@contextlib.asynccontextmanager
async def _bare_server() -> AsyncIterator[_Server]:
    clients: list[web.WebSocketResponse] = []
    event = next(_commit(World()).events(EPOCH))
    text = orjson.dumps(event_json(event)).decode()

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.receive()
        clients.append(ws)
        async for _ in ws:
            pass
        return ws

    async def send() -> None:
        for ws in clients:
            await ws.send_str(text)
        await asyncio.sleep(0)

    server = _Server(send)
    async with _listening(handle) as port, server.readers(port, filtered=False):
        yield server


@contextlib.asynccontextmanager
async def _hub_server(*, filtered: bool = False, with_stalled: bool = False) -> AsyncIterator[_Server]:
    world = World()
    hub = Hub(
        log=world,
        balances=world,
        amounts=world.held,
        accounts=world.held,
        freshness=world,
        watching=world,
        status=world,
        epoch=EPOCH,
        limits=LIMITS,
    )

    async def send() -> None:
        hub.deliver(_commit(world))
        await asyncio.sleep(0)

    server = _Server(send)
    async with _listening(hub.handle) as port, contextlib.AsyncExitStack() as stack:
        await hub.start()
        if with_stalled:
            stack.enter_context(await _stalled_reader(port))
            for _ in range(STALLED_BACKLOG):
                await send()
        await stack.enter_async_context(server.readers(port, filtered))
        yield server
        await hub.close()


def _commit(world: World) -> Commit:
    made = world.commit(updated(1, 10**18, number=19_000_000))
    world.commits["chain:1"] = [made]  # the log is not what is measured
    return made


@contextlib.asynccontextmanager
async def _listening(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/ws", handle)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1_024)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _stalled_reader(port: int) -> socket.socket:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", port))
    await loop.sock_sendall(raw, _handshake() + _masked(SUBSCRIBE))
    await asyncio.sleep(0.1)
    return raw


# --- the readers' process --------------------------------------------------------------------------------------------


class _Tally:
    """Frames over all connections, and whom to tell when there are enough."""

    def __init__(self) -> None:
        self.frames = 0
        self.ready = 0
        self.target = sys.maxsize
        self.tell: Callable[[], None] = lambda: None

    def add(self, frames: int) -> None:
        self.frames += frames
        if self.frames >= self.target:
            self.target = sys.maxsize
            self.tell()


class _Reader(asyncio.Protocol):
    """Counts frames by their headers, and does nothing else."""

    def __init__(self, tally: _Tally, subscribe: bytes) -> None:
        self._tally = tally
        self._subscribe = subscribe
        self._rest = b""
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Those of uvloop are no subclass of it.
        cast("asyncio.Transport", transport).write(_handshake() + _masked(self._subscribe))

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self._is_open:
            head, blank, data = data.partition(b"\r\n\r\n")
            if not blank:
                self._rest = head
                return
            self._is_open = True
            self._tally.ready += 1
        at = frames = 0
        while len(data) >= at + 4:
            size = data[at + 1]
            end = at + 2 + size if size < 126 else at + 4 + int.from_bytes(data[at + 2 : at + 4])
            if end > len(data):
                break
            # "subscribed" is the only short frame.
            frames += size >= 126
            at = end
        self._rest = data[at:]
        if frames:
            self._tally.add(frames)


async def _read(port: int, back: int, filtered: bool) -> None:
    tally = _Tally()
    loop = asyncio.get_running_loop()
    for number in range(SUBSCRIBERS):
        text = SUBSCRIBE
        if filtered:
            wanted = [{"solver": solver(1)}, {"solver": solver(number + 2)}]
            text = orjson.dumps({"op": "subscribe", "id": "1", "filters": wanted})
        await loop.create_connection(partial(_Reader, tally, text), "127.0.0.1", port)
    while tally.ready < SUBSCRIBERS:  # noqa: ASYNC110 - nothing else happens here
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", back)
    tally.tell = lambda: writer.write(b"received\n")
    writer.write(b"ready\n")
    while line := await reader.readline():
        tally.target = int(line)
        tally.add(0)


def _handshake() -> bytes:
    return (
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )


def _masked(payload: bytes) -> bytes:
    """A text frame with a mask of zeros."""
    size = len(payload)
    head = bytes((0x81, 0x80 | size)) if size < 126 else bytes((0x81, 0xFE)) + size.to_bytes(2)
    return head + bytes(4) + payload


if __name__ == "__main__":
    if len(sys.argv) > 1:
        uvloop.run(_read(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "filtered"))
    else:
        sys.exit(0 if print_rows(uvloop.run(run())) else 1)
