"""The pages and the OpenAPI document: what is served as it stands in a file or was made at start."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Final

import orjson
from aiohttp import web

from indexer.api.openapi import openapi
from indexer.api.routes import Answer, Route

_HTML_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    # Everything is in the page itself, and no other page may put it into a frame.
    "Content-Security-Policy": (
        "default-src 'self' 'unsafe-inline' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'"
    ),
}


class DocumentsResource:
    """`/`, `/docs` and `/openapi.json`."""

    def __init__(self, *, version: str) -> None:
        self._version = version
        self._page = _static("index.html")
        self._docs = _static("docs.html")
        self._openapi = b""

    def describe(self, routes: Iterable[Route]) -> None:
        """Called once, when all routes are known."""
        self._openapi = orjson.dumps(openapi(routes, version=self._version))

    def routes(self) -> tuple[Route, ...]:
        html = "text/html"
        return (
            Route(
                method="GET",
                path="/",
                handler=self.page,
                summary="The page that shows balances live",
                tag="pages",
                scope=None,
                answers={200: Answer("The page.", content_type=html)},
                problems=(404,),
            ),
            Route(
                method="GET",
                path="/docs",
                handler=self.docs,
                summary="This API, to read and to try",
                tag="pages",
                scope=None,
                answers={200: Answer("The page.", content_type=html)},
            ),
            Route(
                method="GET",
                path="/openapi.json",
                handler=self.openapi,
                summary="This API, for programs",
                tag="pages",
                scope=None,
                answers={200: Answer("The OpenAPI document.", "OpenApi")},
            ),
        )

    async def page(self, _request: web.Request) -> web.Response:
        return _html(self._page)

    async def docs(self, _request: web.Request) -> web.Response:
        return _html(self._docs)

    async def openapi(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._openapi, content_type="application/json")


def _static(name: str) -> bytes | None:
    file = files("indexer.api").joinpath("static", name)
    return file.read_bytes() if file.is_file() else None


def _html(page: bytes | None) -> web.Response:
    if page is None:
        raise web.HTTPNotFound
    return web.Response(body=page, content_type="text/html", charset="utf-8", headers=_HTML_HEADERS)
