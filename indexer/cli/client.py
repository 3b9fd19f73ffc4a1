"""Asks a running service; what can go wrong becomes one line for whoever asked."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from types import NoneType
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from indexer.cli.tables import note
from indexer.masking import mask_url

_PATIENCE = aiohttp.ClientTimeout(total=60, sock_connect=10)
_LONG_PATIENCE = aiohttp.ClientTimeout(total=900, sock_connect=10)
_LARGEST_PAGE = 1000

Shape = Mapping[str, type | tuple[type, ...]]
"""Members by which an answer of ours is told from what anybody else answers."""
PAGE: Final[Shape] = {"items": list}
_PAGE_OF_SEVERAL: Final[Shape] = {**PAGE, "next": (str, NoneType)}

_NAMED: Final = ("chain", "token", "solver", "exchange", "account", "name")
"""Fields of what there is not, as arguments name it; `name` is that of an account in a path."""


class AskError(Exception):
    """The question cannot be answered; the text is for people."""

    code = 1


class Unreadable(AskError):
    """The service can do nothing with the question: whoever asked wrote something wrong."""

    code = 2


class Foreign(AskError):
    """Something else than the indexer answers at this address."""


class Client:
    """The HTTP calls of one service."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def get(self, path: str, shape: Shape, **query: object) -> Any:
        params = {name: str(value) for name, value in query.items() if value is not None}
        with told(self.url):
            async with self.session.get(f"{self.url}/api/v1{path}", params=params) as response:
                body = await response.read()
        return _answer(response.status, body, self.url, shape)

    async def post(self, path: str, body: object, shape: Shape) -> Any:
        """For work that takes as long as it takes."""
        with told(self.url):
            async with self.session.post(f"{self.url}/api/v1{path}", json=body, timeout=_LONG_PATIENCE) as response:
                answer = await response.read()
        return _answer(response.status, answer, self.url, shape)

    async def delete(self, path: str) -> None:
        with told(self.url):
            async with self.session.delete(f"{self.url}/api/v1{path}") as response:
                answer = await response.read()
        if response.status != HTTPStatus.NO_CONTENT:
            _answer(response.status, answer, self.url, None)

    async def items(self, path: str, *, most: int | None = None, **query: object) -> AsyncIterator[dict[str, Any]]:
        """The items of all pages, `most` at most."""
        count, cursor = 0, None
        while most is None or count < most:
            limit = _LARGEST_PAGE if most is None else min(_LARGEST_PAGE, most - count)
            page = await self.get(path, _PAGE_OF_SEVERAL, limit=limit, cursor=cursor, **query)
            for item in page["items"]:
                yield item
            count += len(page["items"])
            cursor = page["next"]
            if cursor is None:
                return


@asynccontextmanager
async def connected(args: argparse.Namespace) -> AsyncIterator[Client]:
    headers = _with_key(args.api_key, args.url) if args.api_key else {}
    async with aiohttp.ClientSession(headers=headers, timeout=_PATIENCE) as session:
        yield Client(session, args.url)


def _with_key(key: str, url: str) -> dict[str, str]:
    """A login in the URL is a proxy's, and takes the usual header."""
    return {"X-API-Key": key} if "@" in urlsplit(url).netloc else {"Authorization": f"Bearer {key}"}


@contextmanager
def told(url: str) -> Iterator[None]:
    """Turns what aiohttp raises into an `AskError`."""
    shown = mask_url(url)
    try:
        yield
    except aiohttp.WSServerHandshakeError as error:
        raise AskError(refusal(error.status, shown)) from error
    except aiohttp.ClientConnectorError as error:
        number = error.os_error.errno or 0
        reason = os.strerror(number) if number > 0 else error.os_error.strerror or str(error.os_error)
        raise AskError(f"can't reach {shown}: {reason}; is it running, and is --url right?") from error
    except TimeoutError as error:
        raise AskError(f"{shown} does not answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        raise AskError(f"the connection to {shown} broke: {error or type(error).__name__}") from error


def answered(ask: Coroutine[Any, Any, int]) -> int:
    """Run it; an `AskError` becomes one line on stderr and its exit code, Ctrl-C a quiet end."""
    try:
        return asyncio.run(ask)
    except AskError as error:
        note(error)
        return error.code
    except KeyboardInterrupt:
        return 0


def refused(status: int, url: str, problem: Mapping[str, Any] | None) -> AskError:
    """What to raise when the service says no."""
    kind = Unreadable if status == HTTPStatus.BAD_REQUEST or _is_of_an_argument(status, problem) else AskError
    return kind(refusal(status, url, problem))


def _is_of_an_argument(status: int, problem: Mapping[str, Any] | None) -> bool:
    """Whether it can be read, but names what there is not; credentials that are refused were no argument."""
    field = str((problem or {}).get("field") or "")
    if status == HTTPStatus.NOT_FOUND:  # a block or a time of which nothing is known may be known later
        return field.rpartition(".")[2] in _NAMED
    return status == HTTPStatus.UNPROCESSABLE_ENTITY and bool(field) and not field.startswith("credentials")


def refusal(status: int, url: str, problem: Mapping[str, Any] | None = None) -> str:
    """What the service says in its problem; without one, what its status tells."""
    hint = "; show a key with --api-key or INDEXER_API_KEY" if status == 401 else ""
    detail = (problem or {}).get("detail") or (problem or {}).get("title")
    if problem is None or detail is None:
        return f"{url} answered with status {status}{hint}"
    field = f"{problem['field']}: " if problem.get("field") else ""
    return f"{field}{detail}{hint}"


def _is_shaped(answer: Any, shape: Shape) -> bool:
    """Whether it is an object with these members; items are objects, too."""
    if not isinstance(answer, dict) or not all(isinstance(answer.get(name, ...), kind) for name, kind in shape.items()):
        return False
    return "items" not in shape or all(isinstance(item, dict) for item in answer["items"])


def _answer(status: int, body: bytes, url: str, shape: Shape | None) -> Any:
    """Without a shape nothing but a refusal is an answer of ours."""
    masked = mask_url(url)
    foreign = Foreign(f"{masked} answered, but not as the indexer does (status {status}); is --url right?")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise foreign from error
    if status >= HTTPStatus.BAD_REQUEST:
        raise refused(status, masked, answer if isinstance(answer, dict) else None)
    if shape is None or not _is_shaped(answer, shape):
        raise foreign
    return answer
