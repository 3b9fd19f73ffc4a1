"""Carries bytes to one URL over HTTP and brings back what it answers; knows nothing of what they say."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

import aiohttp

from indexer.errors import NodeUnreachable

LONGEST_ANSWER: Final = 128 * 2**20
_CONNECT_SECONDS: Final = 3.0
_HEADERS: Final = {"content-type": "application/json", "user-agent": "solver-balance-indexer"}
_LARGE: Final = 2**20


class Answer(NamedTuple):
    """What came back, whatever it is."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(NodeUnreachable):
    """Nothing came in time."""


class Courier(Protocol):
    """How a transport reaches its endpoint: over HTTP, or into a simulated world."""

    async def post(self, body: bytes, timeout_seconds: float) -> Answer:
        """The answer, or `NodeUnreachable` (`NoAnswer` when time is up).

        An answer that is too long is cut just beyond `LONGEST_ANSWER`.
        """

    async def close(self) -> None: ...


class HttpCourier:
    """One session for one endpoint, opened when it is first used."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def post(self, body: bytes, timeout_seconds: float) -> Answer:
        for is_last in (False, True):
            try:
                return await self._post_once(body, timeout_seconds)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError) as error:
                # A kept connection that the other side closed while we wrote: all we ask may be asked twice.
                if is_last:
                    raise NodeUnreachable("the connection was closed before an answer came") from error
            except TimeoutError as error:
                raise NoAnswer(f"no answer within {timeout_seconds:g} s") from error
            except (aiohttp.ClientError, OSError) as error:
                # Named without its text: aiohttp's texts may hold the URL, and URLs hold keys.
                raise NodeUnreachable(_plainly(error)) from error
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Whoever waits for an answer, or asks later, hears that nobody is asked here any more."""
        self._is_closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post_once(self, body: bytes, timeout_seconds: float) -> Answer:
        if self._is_closed:
            raise NodeUnreachable("it is not asked any more")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=_HEADERS, connector=aiohttp.TCPConnector(limit=16, keepalive_timeout=60)
            )
        timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=_CONNECT_SECONDS)
        # In pieces when it is large, so that writing it holds up nobody else on the loop.
        data = body if len(body) < _LARGE else io.BytesIO(body)
        async with self._session.post(self._url, data=data, timeout=timeout, allow_redirects=False) as response:
            parts: list[bytes] = []
            size = 0
            async for part in response.content.iter_any():
                parts.append(part)
                size += len(part)
                if size > LONGEST_ANSWER:
                    response.close()
                    break
            return Answer(response.status, response.headers, b"".join(parts))


def _plainly(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error.os_error.strerror or type(error.os_error).__name__}"
    return f"the connection failed: {type(error).__name__}"
