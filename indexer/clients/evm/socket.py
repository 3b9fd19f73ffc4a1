"""One websocket to a node that carries subscriptions and nothing else.

Raw frames rather than web3's subscription manager: that one formats each message and stops reading at 500 waiting
ones (docs/adr/0003-raw-websocket-for-subscriptions.md). This reader decodes, hands over and never awaits between.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidURI, WebSocketException

from indexer.clients.evm.answers import head_of, quantity, shown
from indexer.clients.evm.wording import refusal
from indexer.domain.chain import Head
from indexer.errors import BadAnswer, NodeUnreachable

_OPEN_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 10.0
_PING_SECONDS: Final = 10.0
_LONGEST_MESSAGE: Final = 16 * 2**20


class NodeSocket:
    """Subscribes to heads and logs; what comes is handed to `on_head` and `on_log` as it is read."""

    def __init__(self, url: str, *, on_head: Callable[[Any], None], on_log: Callable[[Any], None]) -> None:
        self._url = url
        self._on_head = on_head
        self._on_log = on_log
        self._ids = itertools.count(1)
        self._asked: dict[int, tuple[asyncio.Future[Any], Callable[[Any], None] | None]] = {}
        self._sinks: dict[str, Callable[[Any], None]] = {}
        self._log_subscriptions: list[str] = []
        self._connection: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        try:
            self._connection = await connect(
                self._url,
                open_timeout=_OPEN_SECONDS,
                close_timeout=1,
                ping_interval=_PING_SECONDS,
                ping_timeout=_PING_SECONDS,
                max_size=_LONGEST_MESSAGE,
                compression=None,
                proxy=None,
            )
        except InvalidURI as error:
            raise NodeUnreachable("not a websocket address") from error
        except (OSError, TimeoutError, WebSocketException) as error:
            # Named without its text, which may hold the URL and the key in it.
            raise NodeUnreachable(f"cannot open the websocket: {type(error).__name__}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()
        for future, _ in self._asked.values():
            future.cancel()

    async def read(self) -> None:
        """Hand over everything that comes, until the connection ends; then `NodeUnreachable`."""
        if self._connection is None:
            raise NodeUnreachable("the websocket is not open")
        try:
            while True:
                self._heard(await self._connection.recv(decode=False))
        except WebSocketException as error:
            raise NodeUnreachable(f"the websocket was closed: {type(error).__name__}") from error

    async def chain_id(self) -> int:
        return quantity(await self._ask("eth_chainId", []))

    async def newest(self) -> Head:
        return head_of(await self._ask("eth_getBlockByNumber", ["latest", False]))

    async def subscribe_heads(self) -> None:
        await self._ask("eth_subscribe", ["newHeads"], self._on_head)

    async def subscribe_logs(self, filters: Iterable[Mapping[str, Any]]) -> None:
        """Instead of the former ones, which end only after the new ones have begun: nothing falls between."""
        former = self._log_subscriptions
        self._log_subscriptions = [
            await self._ask("eth_subscribe", ["logs", dict(part)], self._on_log) for part in filters
        ]
        for subscription in former:
            await self._ask("eth_unsubscribe", [subscription])
            self._sinks.pop(subscription, None)

    async def _ask(self, method: str, params: list[Any], sink: Callable[[Any], None] | None = None) -> Any:
        if self._connection is None:
            raise NodeUnreachable("the websocket is not open")
        number = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = (future, sink)
        frame = orjson.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        try:
            await self._connection.send(frame, text=True)
            return await asyncio.wait_for(future, _ANSWER_SECONDS)
        except TimeoutError as error:
            raise NodeUnreachable(f"no answer to {method} within {_ANSWER_SECONDS:g} s") from error
        except WebSocketException as error:
            raise NodeUnreachable(f"the websocket was closed: {type(error).__name__}") from error
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
        future, sink = self._asked.get(message["id"], (None, None))
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
