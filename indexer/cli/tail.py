"""`tail`: follows the events of a service, and goes on where it was after a lost connection."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import aiohttp

from indexer.cli.bookmarks import Bookmarks
from indexer.cli.client import AskError, Client, Foreign, answered, connected, refusal, refused, told
from indexer.cli.lines import line_of
from indexer.cli.tables import note, show_json
from indexer.client.following import is_frame
from indexer.masking import mask_url

_SILENCE_SECONDS = 20
"""Heartbeats come every five: a connection that is silent for longer is lost, whatever TCP says."""

_PAUSES = (0.2, 0.5, 1, 2, 5)

_UNKNOWN_TIMES = 8
"""So often in a row filters that were accepted may name what is unknown: it may be about a file that is changed."""

Frame = dict[str, Any]


def tail(args: argparse.Namespace) -> int:
    return answered(_follow(args))


async def _follow(args: argparse.Namespace) -> int:
    count = 0
    async with connected(args) as client, aclosing(frames(client, _filters(args))) as followed:
        async for frame in followed:
            if args.json:
                show_json(frame)
            else:
                print(line_of(frame), flush=True)
            count += "seq" in frame
            if args.limit is not None and count >= args.limit:
                break
    return 0


async def frames(client: Client, filters: Sequence[Frame]) -> AsyncGenerator[Frame, None]:
    """Every event from now on, once, and word of what was missed; ends only with an `AskError`."""
    bookmarks = await _bookmarks_now(client)
    lost = unknown = 0
    was_accepted = False
    while True:
        try:
            async with aclosing(_one_connection(client, filters, bookmarks)) as received:
                async for frame in received:
                    if lost:
                        note("connected again")
                    lost, unknown, was_accepted = 0, 0, True
                    if frame["type"] not in ("subscribed", "heartbeat"):
                        yield frame
        except (_Lost, _Unknown, Foreign) as error:
            unknown += isinstance(error, _Unknown)
            # A proxy may lose the service that was there, and speak for itself.
            if not isinstance(error, _Lost) and (not was_accepted or unknown > _UNKNOWN_TIMES):
                raise
            if not lost:
                note(f"{error}; trying again")
            await asyncio.sleep(_PAUSES[min(lost, len(_PAUSES) - 1)])
            lost += 1


class _Lost(Exception):
    """The connection is gone; another one may come."""


class _Unknown(AskError):
    """A filter names what the service does not know, now."""

    code = 2


async def _bookmarks_now(client: Client) -> Bookmarks:
    """Asked before subscribing, so that what happens until the first event is not lost with a connection."""
    bookmarks = Bookmarks()
    status = await client.get("/status", {"streams": dict})
    for stream, state in status["streams"].items():
        bookmarks.learn(stream, state["seq"], state["state"])
    return bookmarks


async def _one_connection(
    client: Client, filters: Sequence[Frame], bookmarks: Bookmarks
) -> AsyncGenerator[Frame, None]:
    request: Frame = {"op": "subscribe", "id": "tail", "filters": list(filters), "after": bookmarks.after()}
    if bookmarks.wants_snapshot:
        request["snapshot"] = True
    try:
        with told(client.url):
            async with client.session.ws_connect(f"{client.url}/ws", max_msg_size=0) as socket:
                await socket.send_json(request)
                while True:
                    frame = await _received(socket, mask_url(client.url))
                    if bookmarks.is_of_another_store(frame):
                        yield {"type": "gap", "stream": None}
                        raise _Lost("the store is another one than before")
                    if bookmarks.is_new(frame):
                        yield frame
    except AskError as error:
        if error.__cause__ is None or _is_refused(error.__cause__):
            raise
        raise _Lost(str(error)) from error


async def _received(socket: aiohttp.ClientWebSocketResponse, url: str) -> Frame:
    try:
        message = await socket.receive(timeout=_SILENCE_SECONDS)
    except TimeoutError as error:
        raise _Lost("nothing was heard for a while") from error
    if message.type is not aiohttp.WSMsgType.TEXT:
        raise _Lost("the connection was closed")
    frame = _frame(message.data, url)
    if frame["type"] == "error":
        problem = frame["problem"]
        if problem["status"] == HTTPStatus.SERVICE_UNAVAILABLE:  # that subscription is over, and a new one is welcome
            raise _Lost(problem["detail"])
        if problem["status"] == HTTPStatus.NOT_FOUND:
            raise _Unknown(refusal(problem["status"], url, problem))
        raise refused(problem["status"], url, problem)
    return frame


def _frame(text: str, url: str) -> Frame:
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        frame = None
    if not isinstance(frame, dict) or not is_frame(frame):
        raise Foreign(f"{url} answered over its websocket, but not as the indexer does; is --url right?")
    return frame


def _is_refused(error: BaseException) -> bool:
    """A key that is not good will not get better; a 503 while the service starts will."""
    return isinstance(error, aiohttp.WSServerHandshakeError) and 400 <= error.status < 500


def _filters(args: argparse.Namespace) -> list[Frame]:
    given: Frame = {
        name: value
        for name in ("chain", "token", "solver", "exchange", "account", "wallet", "asset")
        if (value := getattr(args, name)) is not None
    }
    if args.type:
        return [{"type": kind, **given} for kind in args.type]
    return [given] if given else []
