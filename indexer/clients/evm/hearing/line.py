"""One open websocket that carries frames, and how it is opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidURI, WebSocketException

from indexer.errors import NodeUnreachable

_OPEN_SECONDS: Final = 5.0
_PING_SECONDS: Final = 10.0
_LONGEST_MESSAGE: Final = 16 * 2**20


class Line(Protocol):
    """Text frames there and back; whatever ends it is `NodeUnreachable`."""

    async def send(self, frame: bytes) -> None: ...

    async def receive(self) -> bytes: ...

    async def close(self) -> None: ...


OpenLine = Callable[[str], Awaitable[Line]]
"""A line to this URL: over the network, or into a simulated world."""


async def open_line(url: str) -> Line:
    try:
        connection = await connect(
            url,
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
    return _WebsocketLine(connection)


class _WebsocketLine:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, frame: bytes) -> None:
        try:
            await self._connection.send(frame, text=True)
        except WebSocketException as error:
            raise _closed(error) from error

    async def receive(self) -> bytes:
        try:
            return await self._connection.recv(decode=False)
        except WebSocketException as error:
            raise _closed(error) from error

    async def close(self) -> None:
        await self._connection.close()


def _closed(error: WebSocketException) -> NodeUnreachable:
    return NodeUnreachable(f"the websocket was closed: {type(error).__name__}")
