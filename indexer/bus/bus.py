"""Puts events on NATS in order, and knows which of them are stored there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from indexer.bus.login import Login, connect, leave
from indexer.bus.streams import StreamPlan, find_homes
from indexer.domain.telling.subjects import Notice
from indexer.errors import BusRefuses, BusUnreachable, EventTooLarge, EventUnwritable
from indexer.masking import mask_text

ANSWER_SECONDS: Final = 5.0
"""How long the server has to say that a batch is stored."""

TURN: Final = 32
"""Events written before the loop has its turn."""

_HEADERS: Final = 1_024
"""What headers, subject and reply take of the largest message, at most."""

_FULL: Final = frozenset({10023, 10028, 10047, 10077})
"""Resources, storage or the stream's own limits are used up."""

_TOO_LARGE: Final = 10054


class NatsBus:
    """One connection at a time; whatever goes wrong ends it, and `open` makes the next one."""

    def __init__(self, login: Login, plan: StreamPlan) -> None:
        self._login = login
        self._plan = plan
        self._client: Client | None = None
        self._homes: Mapping[str, str] = {}
        self._inbox = ""
        self._batch: _Batch | None = None
        self._number = 0
        self._broken: BusUnreachable | BusRefuses | None = None
        self._lost: Callable[[], None] = lambda: None

    @property
    def server(self) -> str:
        return self._login.shown

    async def open(self, lost: Callable[[], None]) -> None:
        await self.close()
        self._broken, self._lost = None, lost
        client = await connect(self._login, troubled=self._troubled, closed=self._closed)
        self._client = client
        self._homes = await find_homes(client.jetstream(timeout=ANSWER_SECONDS), self._plan)
        self._inbox = client.new_inbox()
        await client.subscribe(f"{self._inbox}.*", cb=self._answered)
        self.check()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await leave(client)

    def check(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._client is None:
            raise BusUnreachable("there is no connection")

    async def publish(self, notices: Sequence[Notice]) -> int:
        """In order, whatever happens: each names the one before it, and the server refuses it when that is missing."""
        self.check()
        payloads = self._payloads(notices)
        self._number += 1
        batch = self._batch = _Batch(self._number, len(payloads))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._write(notices, payloads, batch)
                await batch.answered
        except TimeoutError:
            raise BusUnreachable(f"{self.server} did not say within {ANSWER_SECONDS:g} s what it stored") from None
        except (NatsError, OSError) as error:
            self.check()
            raise BusUnreachable(f"{self.server} is gone: {error!r}") from error
        finally:
            self._batch = None
            batch.drop()
        if batch.stored == 0:
            raise _translated(batch.refusals[0])
        return batch.stored

    def _payloads(self, notices: Sequence[Notice]) -> Sequence[bytes]:
        """Up to the first that cannot be written or is too large: its turn comes, and then it is named."""
        assert self._client is not None  # noqa: S101 - `check` has just seen it
        payloads: list[bytes] = []
        for notice in notices:
            try:
                payload = orjson.dumps(notice.body)
            except orjson.JSONEncodeError as error:
                if payloads:
                    break
                raise EventUnwritable(f"{notice.id} cannot be told: {error}") from error
            if len(payload) + _HEADERS > self._client.max_payload:
                break
            payloads.append(payload)
        if not payloads:
            raise EventTooLarge(f"the server takes {self._client.max_payload} bytes at most")
        return payloads

    async def _write(self, notices: Sequence[Notice], payloads: Sequence[bytes], batch: _Batch) -> None:
        client = self._client
        assert client is not None  # noqa: S101 - `check` has just seen it
        before: dict[str, str] = {}
        for index, (notice, payload) in enumerate(zip(notices, payloads, strict=False)):
            headers = {"Nats-Msg-Id": notice.id}
            home = self._homes[notice.root]
            if home in before:
                headers["Nats-Expected-Last-Msg-Id"] = before[home]
            before[home] = notice.id
            reply = f"{self._inbox}.{batch.number}-{index}"
            await client.publish(notice.subject, payload, reply=reply, headers=headers)
            if index % TURN == TURN - 1:
                await asyncio.sleep(0)

    async def _answered(self, message: Msg) -> None:
        number, _, index = message.subject.rpartition(".")[2].partition("-")
        if self._batch is not None and self._batch.number == int(number):
            self._batch.answer(int(index), _refusal(message))

    def _troubled(self, error: Exception) -> None:
        words = str(error)
        if "permissions violation" in words.lower():
            self._break(BusRefuses(f"{self.server} does not permit it: {mask_text(words)}"))

    def _closed(self) -> None:
        self._break(BusUnreachable(f"{self.server} closed the connection"))

    def _break(self, error: BusUnreachable | BusRefuses) -> None:
        if self._client is None:  # we are leaving by ourselves, or were never let in
            return
        self._broken = self._broken or error
        if self._batch is not None:
            self._batch.fail(self._broken)
        self._lost()


class _Batch:
    """What is in flight, and the answers so far."""

    def __init__(self, number: int, size: int) -> None:
        self.number = number
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.refusals: dict[int, Mapping[str, Any]] = {}
        self._size = size
        self._open = set(range(size))

    @property
    def stored(self) -> int:
        """How many, from the first on."""
        return min(self.refusals, default=self._size)

    def answer(self, index: int, refusal: Mapping[str, Any] | None) -> None:
        if refusal is not None:
            self.refusals[index] = refusal
        self._open.discard(index)
        if not self._open and not self.answered.done():
            self.answered.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(error)

    def drop(self) -> None:
        """Nobody waits any more: an error that nobody took is none."""
        if not self.answered.cancel() and not self.answered.cancelled():
            self.answered.exception()


def _refusal(message: Msg) -> Mapping[str, Any] | None:
    """Nothing where it is stored, now or (a duplicate) already."""
    if not message.data:
        return {"err_code": 0, "description": "no stream takes it any more"}  # the server's "no responders"
    if b'"error"' not in message.data:
        return None
    error: Mapping[str, Any] | None = orjson.loads(message.data).get("error")
    return error


def _translated(refusal: Mapping[str, Any]) -> BusUnreachable | BusRefuses | EventTooLarge:
    code, words = refusal.get("err_code", 0), refusal.get("description", "")
    if code == _TOO_LARGE:
        return EventTooLarge(f"the stream does not take it: {words}")
    if code in _FULL:
        return BusRefuses(f"JetStream has no room: {words}; raise its limits, or those of the stream")
    return BusUnreachable(f"JetStream did not store it: {words}")
