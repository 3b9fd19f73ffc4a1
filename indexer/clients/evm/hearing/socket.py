"""One websocket to a node that carries subscriptions and nothing else.

Raw frames rather than web3's subscription manager: that one formats each message and stops reading at 500 waiting
ones (docs/adr/0003-raw-websocket-for-subscriptions.md). This reader decodes, hands over and never awaits between.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import orjson

from indexer.clients.evm.asking.answers import head_of, quantity, shown
from indexer.clients.evm.asking.wording import CallFailed, TimedOut, Unsupported, refusal
from indexer.clients.evm.hearing.line import Line, OpenLine, open_line
from indexer.domain.chain import BlockHash, Head
from indexer.errors import BadAnswer, BlockUnknown, IndexerError, NodeUnreachable, StateMissing

_ANSWER_SECONDS: Final = 10.0


class Ours(NamedTuple):
    """By what a node is known to follow our chain; nothing of it before that is known."""

    chain_id: int | None = None
    genesis: BlockHash | None = None


class NodeSocket:
    """Subscribes to heads and logs; what comes is handed to `on_head` and `on_log` as it is read."""

    def __init__(
        self, url: str, *, on_head: Callable[[Any], None], on_log: Callable[[Any], None], opened: OpenLine = open_line
    ) -> None:
        self._url = url
        self._opened = opened
        self._on_head = on_head
        self._on_log = on_log
        self._ids = itertools.count(1)
        self._asked: dict[int, tuple[asyncio.Future[Any], Callable[[Any], None] | None]] = {}
        self._sinks: dict[str, Callable[[Any], None]] = {}
        self._log_subscriptions: list[str] = []
        self._line: Line | None = None

    async def __aenter__(self) -> Self:
        self._line = await self._opened(self._url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line is not None:
            await self._line.close()
        for future, _ in self._asked.values():
            future.cancel()

    async def read(self) -> None:
        """Hand over everything that comes, until the connection ends; then `NodeUnreachable`."""
        if self._line is None:
            raise NodeUnreachable("the websocket is not open")
        while True:
            self._heard(await self._line.receive())

    async def prove(self, ours: Ours) -> None:
        """Return if it follows our chain, as far as that is known; a node that has forgotten its genesis may."""
        if ours.chain_id is not None and (found := quantity(await self._ask("eth_chainId", []))) != ours.chain_id:
            raise NodeUnreachable(f"the websocket follows chain {found}, not {ours.chain_id}")
        if ours.genesis is not None and (first := await self._genesis()) not in (None, ours.genesis):
            raise NodeUnreachable(
                f"the websocket follows a chain with our id whose genesis block is {first}, not {ours.genesis};"
                " correct ws_urls"
            )

    async def _genesis(self) -> BlockHash | None:
        try:
            return head_of(await self._ask("eth_getBlockByNumber", ["0x0", False])).hash
        except (BlockUnknown, StateMissing, Unsupported, CallFailed):
            return None

    async def newest(self) -> Head:
        return head_of(await self._ask("eth_getBlockByNumber", ["latest", False]))

    async def subscribe_heads(self) -> None:
        await self._ask("eth_subscribe", ["newHeads"], self._on_head)

    async def subscribe_logs(self, filters: Iterable[Mapping[str, Any]]) -> None:
        """Instead of the former ones, which end only after the new ones have begun: nothing falls between."""
        begun: list[str] = []
        try:
            for part in filters:
                subscription = await self._ask("eth_subscribe", ["logs", dict(part)], self._on_log)
                begun.append(subscription)
        except IndexerError as error:
            if not is_end_of_line(error):
                await self._unsubscribe(begun)
            raise
        former, self._log_subscriptions = self._log_subscriptions, begun
        await self._unsubscribe(former)

    async def _unsubscribe(self, subscriptions: Iterable[str]) -> None:
        for subscription in subscriptions:
            self._sinks.pop(subscription, None)
            await self._ask("eth_unsubscribe", [subscription])

    async def _ask(self, method: str, params: list[Any], sink: Callable[[Any], None] | None = None) -> Any:
        if self._line is None:
            raise NodeUnreachable("the websocket is not open")
        number = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = (future, sink)
        frame = orjson.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        try:
            # The sending as well: a peer that reads nothing holds it up.
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._line.send(frame)
                return await future
        except TimeoutError as error:
            raise NodeUnreachable(f"no answer to {method} within {_ANSWER_SECONDS:g} s") from error
        finally:
            self._asked.pop(number, None)

    def _heard(self, frame: bytes) -> None:
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            raise BadAnswer("a frame that is not JSON") from error
        if not isinstance(message, dict):
            raise BadAnswer(f"a frame that is no object: {shown(message)}")
        if "id" in message:
            self._answered(message)
            return
        told = message.get("params")
        if isinstance(told, dict) and (sink := self._sinks.get(str(told.get("subscription")))):
            sink(told.get("result"))

    def _answered(self, message: Mapping[str, Any]) -> None:
        number = message["id"]
        future, sink = self._asked.get(number, (None, None)) if isinstance(number, int) else (None, None)
        if future is None or future.done():
            return
        if message.get("error") is not None:
            future.set_exception(refusal(message["error"], self._url))
            return
        result = message.get("result")
        if sink is not None and isinstance(result, str):
            # Here, not where the answer is awaited: the first notice may be the very next frame.
            self._sinks[result] = sink
        future.set_result(result)


def is_end_of_line(error: IndexerError) -> bool:
    """Whether nothing more comes from there; one that says that its time was up did answer."""
    return isinstance(error, NodeUnreachable) and not isinstance(error, TimedOut)
