"""Sockets to clients: what a session says goes out in order, unless the dice say otherwise."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping

from aiohttp import WSMsgType, web

from indexer.demo.venue.dialects.base import Dialect, Frame, Session
from indexer.demo.venue.faults import SOCKET_FAULTS, Dice
from indexer.demo.venue.state import Account, Change
from indexer.demo.venue.wire import encoded

_MOST_WAITING = 10_000


class Socket:
    """One client's connection."""

    def __init__(
        self, request: web.Request, ws: web.WebSocketResponse, dialect: Dialect, session: Session, dice: Dice
    ) -> None:
        self.dialect = dialect
        self.session = session
        self.muted = False
        self.deaf = False
        self._request = request
        self._ws = ws
        self._dice = dice
        self._held: Frame | None = None
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._later: dict[asyncio.TimerHandle, float] = {}
        """What is held up, and until when by the loop's time: not every loop's handles can say."""

    async def run(self) -> None:
        """Until either side ends it."""
        tasks = [asyncio.create_task(self._send())]
        if self.session.beat_seconds:
            tasks.append(asyncio.create_task(self._beat()))
        try:
            self.say(self.session.opened())
            async for message in self._ws:
                if message.type is WSMsgType.PING and not self.deaf:
                    await self._ws.pong(message.data)
                elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY} and not self.deaf:
                    text = message.data if isinstance(message.data, str) else message.data.decode()
                    self.say(self.session.heard(text))
        finally:
            for handle in self._later:
                handle.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def say(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            if frame.kind == "answer":
                self._post(frame)
            elif frame.kind == "snapshot" and self._dice.frame("early_delta"):
                # What changes meanwhile overtakes it.
                self._post_later(frame)
            else:
                self._risk(frame)

    def hear(self, change: Change) -> None:
        """The truth changed."""
        self.say(self.session.told(change))

    def cut(self) -> None:
        """The connection is gone without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def half_close(self) -> None:
        """We say no more, the line is open to us only."""
        transport = self._request.transport
        self.muted = self.deaf = True
        if isinstance(transport, asyncio.WriteTransport) and transport.can_write_eof():
            transport.write_eof()

    @property
    def late_until(self) -> float:
        """When the last of the frames that are held up goes out, by the loop's time; 0 where there are none."""
        return max(self._later.values(), default=0.0)

    async def close(self, code: int) -> None:
        self.say(self.session.closing())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._outbox.join(), 1)
        await self._ws.close(code=code)

    def _risk(self, frame: Frame) -> None:
        """Send a frame of balances past everything that can happen to it."""
        for fault in SOCKET_FAULTS:
            if self._dice.frame(fault):
                self._befall(fault)
        if self._dice.frame("drop"):
            return
        if self._dice.frame("late"):
            self._post_later(frame)
            return
        if self._dice.frame("reorder") and self._held is None:
            self._held = frame
            # Nothing may come after it: then it is late, not lost.
            self._call_later(self._release)
            return
        self._post(frame)
        if self._dice.frame("duplicate"):
            self._post(frame)
        self._release()

    def _befall(self, fault: str) -> None:
        match fault:
            case "cut":
                self.cut()
            case "half_close":
                self.half_close()
            case "mute":
                self.muted = True
            case _:
                self.muted = self.deaf = True

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._post(held)

    def _post_later(self, frame: Frame) -> None:
        self._call_later(lambda: self._post(frame))

    def _call_later(self, call: Callable[[], None]) -> None:
        def run() -> None:
            self._later.pop(handle, None)
            call()

        loop = asyncio.get_running_loop()
        until = loop.time() + self._dice.faults.late_seconds
        handle = loop.call_at(until, run)
        self._later[handle] = until

    def _post(self, frame: Frame) -> None:
        if self.muted:
            return
        if self._outbox.full():  # whoever does not read is shown the door
            self.cut()
            return
        payload = frame.payload
        numbers = self.session.numbers or self.dialect.numbers
        if frame.kind != "answer":
            numbers = numbers or self._dice.frame("floats")
        plain = payload.encode() if isinstance(payload, str) else None
        self._outbox.put_nowait(plain or encoded(payload, places=self.dialect.places, numbers=numbers))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.session.beat_seconds)
            self.say(self.session.beat())

    async def _send(self) -> None:
        while True:
            frame = await self._outbox.get()
            try:
                if not self.muted:
                    await self._ws.send_str(frame.decode())
            except (ConnectionError, RuntimeError):  # closed while the frame waited
                return
            finally:
                self._outbox.task_done()


class Sockets:
    """All open sockets of a venue, and what a test may do to them."""

    def __init__(self) -> None:
        self._open: dict[Socket, None] = {}
        """In the order in which they came: a set of sockets has none that a seed could repeat."""
        self._refusing: frozenset[str | None] = frozenset()
        self._muting: Mapping[str | None, bool] = {}

    def add(self, socket: Socket) -> None:
        for dialect in (None, socket.dialect.name):
            if dialect in self._muting:
                socket.muted, socket.deaf = True, not self._muting[dialect]
        self._open[socket] = None

    def are_refused(self, dialect: str) -> bool:
        return None in self._refusing or dialect in self._refusing

    def refuse(self, dialect: str | None = None) -> None:
        """New sockets are turned away with a 503, until `admit`."""
        self._refusing |= {dialect}

    def admit(self) -> None:
        self._refusing = frozenset()

    def discard(self, socket: Socket) -> None:
        self._open.pop(socket, None)

    def tell(self, change: Change) -> None:
        for socket in tuple(self._open):
            if socket.dialect.name == change.account.exchange:
                socket.hear(change)

    def count(self, dialect: str | None = None, *, owned: bool = False) -> int:
        """How many are open; `owned`: only those that an account has made its own, by login or subscription."""
        return sum(1 for each in self._of(dialect) if not owned or each.session.account is not None)

    def cut(self, dialect: str | None = None) -> None:
        for socket in self._of(dialect):
            socket.cut()

    def half_close(self, dialect: str | None = None) -> None:
        for socket in self._of(dialect):
            socket.half_close()

    def mute(self, dialect: str | None = None, *, pings: bool = True, lasting: bool = False) -> None:
        """Open sockets (new ones too, when `lasting`) say nothing; without `pings` they do not even answer those."""
        if lasting:
            self._muting = {**self._muting, dialect: pings}
        for socket in self._of(dialect):
            socket.muted, socket.deaf = True, not pings

    def unmute(self, dialect: str | None = None) -> None:
        self._muting = {each: pings for each, pings in self._muting.items() if dialect not in {None, each}}
        for socket in self._of(dialect):
            socket.muted = socket.deaf = False

    @property
    def late_until(self) -> float:
        """When the last frame that is held up goes out, by the loop's time: until then what was a fault is not over."""
        return max((socket.late_until for socket in self._open), default=0.0)

    async def end(self, account: Account) -> None:
        """The venue ends the sessions of an account, as it does when a key expires."""
        for socket in self._of(account.exchange):
            if socket.session.account == account:
                await socket.close(1000)

    async def close(self) -> None:
        for socket in self._of(None):
            socket.cut()

    def _of(self, dialect: str | None) -> tuple[Socket, ...]:
        return tuple(each for each in self._open if dialect in {None, each.dialect.name})
