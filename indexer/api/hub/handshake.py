"""The first step of a client: from a request to a websocket, or a refusal that says how to ask."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from indexer.api.problems import BadRequest

_HOW: Final = (
    "This is a websocket: ask with a client for those, as in ws://HOST/ws (HTTP/1.1 with `Connection: Upgrade`, "
    "`Upgrade: websocket`, `Sec-WebSocket-Version: 13` and a `Sec-WebSocket-Key`)."
)


async def switch(ws: web.WebSocketResponse, request: web.Request) -> AbstractStreamWriter:
    try:
        return await ws.prepare(request)
    except web.HTTPBadRequest as error:
        raise BadRequest(400, _HOW) from error
