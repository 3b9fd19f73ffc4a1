"""Request bodies: one JSON object of known members, each of the right type."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.web_exceptions import HTTPRequestEntityTooLarge

from indexer.api.objects import parsed
from indexer.api.packing import refuse_unknown_packing, unpacked
from indexer.api.parameters import chain_id, did_you_mean
from indexer.api.problems import BadRequest
from indexer.errors import Impossible, NotFound, Refused

BODY_SECONDS: Final = 30.0
"""For all of it: whoever sends no more would hold the connection for ever."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


async def read_object(request: web.Request, known: Sequence[str]) -> dict[str, Any]:
    """The body, with nothing in it but `known` members."""
    if request.content_type != "application/json":
        sent = request.headers.get("Content-Type", "nothing")
        raise BadRequest(415, f"Send the body as application/json, not as {sent[:64]}.")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    refuse_unknown_packing(encoding)
    body = _object(unpacked(await _raw(request), encoding))
    for name in body:
        if name not in known:
            raise Refused(f"unknown member{did_you_mean(name, known)}", name[:64])
    return body


async def read_nothing(request: web.Request) -> None:
    """No body, or an empty object: whoever sends members means something by them."""
    if request.can_read_body:
        await read_object(request, ())


def text_of(body: Mapping[str, Any], name: str) -> str:
    value = _required(body, name)
    if not isinstance(value, str):
        raise Refused("a string is expected", name)
    return value


def name_of(body: Mapping[str, Any]) -> str:
    """What somebody calls something that is made here; it stands in paths."""
    name = text_of(body, "name")
    if not _NAME.fullmatch(name):
        raise Refused("1 to 64 letters, digits, `.`, `_` or `-` are expected, a letter or digit first", "name")
    return name


def list_of(body: Mapping[str, Any], name: str, most: int) -> list[Any]:
    value = _required(body, name)
    if not isinstance(value, list):
        raise Refused("a list is expected", name)
    if not 1 <= len(value) <= most:
        raise Refused(f"1 to {most} entries are expected, not {len(value)}", name)
    return value


def chain_of(value: Any, chains: Mapping[str, int], field: str) -> int:
    """A chain in a body, as a number or a name; one that is not configured makes the request impossible."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Refused("a chain id or name is expected", field)
    try:
        return chain_id(str(value), chains, field)
    except NotFound as error:
        raise Impossible(str(error), field) from error


def _required(body: Mapping[str, Any], name: str) -> Any:
    if body.get(name) is None:
        raise Refused("missing", name)
    return body[name]


async def _raw(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError as error:
        raise BadRequest(408, f"The body was not here after {BODY_SECONDS:g} seconds.") from error
    except HTTPRequestEntityTooLarge:
        raise
    except ConnectionError as error:
        raise BadRequest(400, "The connection ended before the body did.") from error  # for who counts answers
    except (web.RequestPayloadError, ValueError) as error:
        raise Refused("the body cannot be read") from error


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = parsed(raw)
    except orjson.JSONDecodeError as error:
        raise Refused(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refused("the body has to be a JSON object")
    return body
