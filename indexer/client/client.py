"""Asks a running service over HTTP, and follows it over the websocket through every lost connection."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp
import orjson

from indexer.client.following import Filter, Following, Message, StartOver, is_frame
from indexer.client.problems import NoIndexer, Problem, ServiceUnreachable, problem_of

SILENCE_SECONDS: Final = 15.0
"""Three heartbeats."""
FIRST_WAIT_SECONDS: Final = 0.2
LONGEST_WAIT_SECONDS: Final = 10.0
UNKNOWN_TIMES: Final = 8
"""So often in a row filters that were accepted may name what is unknown: for half a minute, in which who starts has
read what it follows, and a file that is being changed is a whole one again."""
PAGE: Final = 1_000
_LATER: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)

Json = dict[str, Any]


class IndexerClient:
    """`async with IndexerClient("http://127.0.0.1:8080") as client: ...`."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        silence_seconds: float = SILENCE_SECONDS,
        first_wait_seconds: float = FIRST_WAIT_SECONDS,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        login, self._place = _login_and_place(url)
        self._url = url.rstrip("/")
        self._headers = {}
        if api_key is not None:  # a login in the URL is a proxy's, and takes the usual header
            self._headers = {"X-API-Key": api_key} if login else {"Authorization": f"Bearer {api_key}"}
        self._silence_seconds = silence_seconds
        self._first_wait_seconds = first_wait_seconds
        self._jitter = jitter
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def balances(
        self, *, chain: int | str | None = None, token: str | None = None, solver: str | None = None
    ) -> list[Json]:
        """All current balances that agree with what is given."""
        items: list[Json] = []
        cursor: str | None = None
        while True:
            page = await self._page(
                "/api/v1/balances", chain=chain, token=token, solver=solver, limit=PAGE, cursor=cursor
            )
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items

    async def balance(
        self, chain: int | str, token: str, solver: str, *, block: int | None = None, at: str | None = None
    ) -> Json:
        """One balance as it is, or as it was at a block or time."""
        return await self._get(f"/api/v1/balances/{chain}/{token}/{solver}", block=block, at=at)

    async def history(
        self,
        chain: int | str,
        token: str,
        solver: str,
        *,
        limit: int | None = None,
        before: int | None = None,
        start: str | None = None,
        end: str | None = None,
    ) -> list[Json]:
        """Records, newest first; `before` is a block number, exclusive."""
        path = f"/api/v1/balances/{chain}/{token}/{solver}/history"
        page = await self._page(path, limit=limit, before=before, **{"from": start, "to": end})
        items: list[Json] = page["items"]
        return items

    async def stats(
        self, chain: int | str, token: str, solver: str, *, start: str | None = None, end: str | None = None
    ) -> Json:
        path = f"/api/v1/balances/{chain}/{token}/{solver}/stats"
        return await self._get(path, **{"from": start, "to": end})

    async def status(self) -> Json:
        return await self._get("/api/v1/status")

    async def events(
        self, *filters: Filter, after: Mapping[str, int] | None = None, snapshot: bool = False
    ) -> AsyncGenerator[Message, None]:
        """Everything that any filter accepts, each event once and in its stream's order, until the caller stops.

        Lost connections are made again and resumed where they broke. Ends only with `Unauthorized`, `Forbidden`, the
        `Problem` of an address where something else answers, or the one that the service has with these filters: at
        once where it never took them, or where they are wrong; after some attempts where it took them before and does
        not know now what they name.
        """
        following = Following(filters, after=after, snapshot=snapshot)
        failures = unknown = 0
        while True:
            try:
                async with aclosing(self._connection(following)) as messages:
                    async for message in messages:
                        failures = unknown = 0
                        if message is not None:
                            yield message
            except StartOver:
                continue
            except aiohttp.WSServerHandshakeError as error:
                if _is_final(error.status, following):
                    told = {"title": error.message, "detail": f"{self._place}/ws took no websocket"}
                    raise problem_of(error.status, told) from error
            except Problem as error:
                unknown += error.status == HTTPStatus.NOT_FOUND
                if not _may_pass(error, following, unknown):
                    raise
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass  # the plan: connect again, however long it takes
            await asyncio.sleep(self._wait_seconds(failures))
            failures += 1

    async def _connection(self, following: Following) -> AsyncGenerator[Message | None, None]:
        """The messages of one connection; nothing for a frame that only says that it lives."""
        connecting = self._http.ws_connect(f"{self._url}/ws", max_msg_size=0, compress=0)
        async with asyncio.timeout(self._silence_seconds):
            ws = await connecting
        try:
            await ws.send_str(orjson.dumps(following.connected()).decode())
            while True:
                frame = await ws.receive(timeout=self._silence_seconds)
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    return
                for message in following.heard(self._frame(frame.data)):
                    yield message
                yield None
        finally:
            # Whoever reads nothing must not be waited for either.
            await _close(ws)

    def _wait_seconds(self, failures: int) -> float:
        """Doubling up to a bound, and never in step with other clients."""
        longest = min(LONGEST_WAIT_SECONDS, self._first_wait_seconds * 2.0 ** min(failures, 10))
        return longest * (0.5 + self._jitter() / 2)

    async def _get(self, path: str, **query: str | int | None) -> Json:
        given = {name: str(value) for name, value in query.items() if value is not None}
        try:
            async with self._http.get(f"{self._url}{path}", params=given) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ServiceUnreachable(f"{self._place} does not answer: {error}") from error
        decoded = _object(body)
        if answer.status != HTTPStatus.OK:
            told = {"title": f"{answer.status} {answer.reason}", "detail": "the answer is not JSON"}
            raise problem_of(answer.status, told if decoded is None else decoded)
        if decoded is None:
            raise NoIndexer(answer.status, self._place)
        return decoded

    async def _page(self, path: str, **query: str | int | None) -> Json:
        page = await self._get(path, **query)
        if not isinstance(page.get("items"), list) or "next" not in page:
            raise NoIndexer(HTTPStatus.OK, self._place)
        return page

    def _frame(self, text: str) -> Json:
        frame = _object(text)
        if frame is None or not is_frame(frame):
            raise NoIndexer(HTTPStatus.SWITCHING_PROTOCOLS, self._place)
        return frame

    @property
    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use it as a context: `async with IndexerClient(url) as client`")
        return self._session


def _object(text: str | bytes) -> Json | None:
    try:
        decoded = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return decoded if isinstance(decoded, dict) else None


def _login_and_place(url: str) -> tuple[str, str]:
    """What is wrong with a URL no new attempt would cure."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError("an http:// or https:// URL is expected")
    login, _, place = parts.netloc.rpartition("@")
    return login, place


def _is_final(status: int, following: Following) -> bool:
    """A refused key, or an address where there never was an indexer: a proxy may lose the one behind it for a while."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return True
    may_pass = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER
    return not (may_pass or following.was_accepted)


def _may_pass(error: Problem, following: Following, unknown: int) -> bool:
    if isinstance(error, NoIndexer):
        return following.was_accepted  # the same proxy, in its own words
    is_unknown = error.status == HTTPStatus.NOT_FOUND and following.was_accepted and unknown <= UNKNOWN_TIMES
    return is_unknown or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR


async def _close(ws: aiohttp.ClientWebSocketResponse) -> None:
    try:
        async with asyncio.timeout(1):
            await ws.close()
    except TimeoutError:
        pass  # the plan: the session ends it
