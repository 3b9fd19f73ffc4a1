"""The pages and the OpenAPI document: what is served as it stands in a file or was made at start."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Final

import orjson
from aiohttp import web

from indexer.api.openapi import openapi
from indexer.api.routes import Answer, Route

_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    # Nothing comes from elsewhere, nothing stands in the page itself, and no other page may put ours into a frame.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
}
_KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class DocumentsResource:
    """`/`, `/docs`, `/openapi.json` and the files that the pages are made of."""

    def __init__(self, *, version: str) -> None:
        self._version = version
        self._files = {file.name: file.read_bytes() for file in files("indexer.api").joinpath("static").iterdir()}
        self._described: Iterable[Route] = ()
        self._openapi = b""

    def describe(self, routes: Iterable[Route]) -> None:
        """Called once, when all routes are known."""
        self._described = routes

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
                path="/static/{file}",
                handler=self.file,
                summary="What the pages are made of",
                tag="pages",
                scope=None,
                answers={200: Answer("The file.", content_type="*/*")},
                problems=(404,),
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
        return self._answer("index.html")

    async def docs(self, _request: web.Request) -> web.Response:
        return self._answer("docs.html")

    async def file(self, request: web.Request) -> web.Response:
        return self._answer(request.match_info["file"])

    async def openapi(self, _request: web.Request) -> web.Response:
        if not self._openapi:  # not at the start, which should be quick
            self._openapi = orjson.dumps(openapi(self._described, version=self._version))
        return web.Response(body=self._openapi, content_type="application/json")

    def _answer(self, name: str) -> web.Response:
        """Only what was found at start is there: no name leads out of the folder."""
        if name not in self._files:
            raise web.HTTPNotFound
        kind = _KINDS.get(PurePosixPath(name).suffix, "application/octet-stream")
        return web.Response(body=self._files[name], headers=_HEADERS | {"Content-Type": kind})
