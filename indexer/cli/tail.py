"""`tail`: follows the events of a service, and goes on where it was after a lost connection."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import aiohttp

from indexer.cli.client import AskError, Client, answered, connected, refusal, told
from indexer.cli.positions import Positions
from indexer.cli.tables import plain

_SILENCE_SECONDS = 20
"""Heartbeats come every five: a connection that is silent for longer is lost, whatever TCP says."""

_PAUSES = (0.2, 0.5, 1, 2, 5)

Frame = dict[str, Any]


def tail(args: argparse.Namespace) -> int:
    return answered(_follow(args))


async def _follow(args: argparse.Namespace) -> int:
    count = 0
    async with connected(args) as client, aclosing(frames(client, _filters(args))) as followed:
        async for frame in followed:
            print(json.dumps(frame, ensure_ascii=False) if args.json else line_of(frame), flush=True)
            count += "seq" in frame
            if args.limit is not None and count >= args.limit:
                break
    return 0


async def frames(
    client: Client, filters: Sequence[Frame], *, pauses: Sequence[float] = _PAUSES
) -> AsyncGenerator[Frame, None]:
    """Every event from now on, once, and word of what was missed; ends only with an `AskError`."""
    positions = await _positions_now(client)
    lost = 0
    while True:
        try:
            async with aclosing(_one_connection(client, filters, positions)) as received:
                async for frame in received:
                    if lost:
                        _note("connected again")
                    lost = 0
                    if frame["type"] not in ("subscribed", "heartbeat"):
                        yield frame
        except _Lost as error:
            if not lost:
                _note(f"{error}; trying again")
            await asyncio.sleep(pauses[min(lost, len(pauses) - 1)])
            lost += 1


class _Lost(Exception):
    """The connection is gone; another one may come."""


async def _positions_now(client: Client) -> Positions:
    """Asked before subscribing, so that what happens until the first event is not lost with a connection."""
    positions = Positions()
    status = await client.get("/status")
    for stream, state in status["streams"].items():
        positions.learn(stream, state["seq"], state["state"])
    return positions


async def _one_connection(
    client: Client, filters: Sequence[Frame], positions: Positions
) -> AsyncGenerator[Frame, None]:
    request = {"op": "subscribe", "id": "tail", "filters": list(filters), "after": positions.after()}
    try:
        with told(client.url):
            async with client.session.ws_connect(f"{client.url}/ws", max_msg_size=0) as socket:
                await socket.send_json(request)
                while True:
                    frame = await _received(socket, client.url)
                    if positions.is_new(frame):
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
    frame: Frame = json.loads(message.data)
    if frame["type"] == "error":
        raise AskError(refusal(400, url, frame["problem"]))
    return frame


def _is_refused(error: BaseException) -> bool:
    """A key that is not good will not get better; a 503 while the service starts will."""
    return isinstance(error, aiohttp.WSServerHandshakeError) and 400 <= error.status < 500


def _filters(args: argparse.Namespace) -> list[Frame]:
    given: Frame = {
        name: value
        for name, value in (("chain", args.chain), ("token", args.token), ("solver", args.solver))
        if value is not None
    }
    if args.type:
        return [{"type": kind, **given} for kind in args.type]
    return [given] if given else []


def line_of(frame: Frame) -> str:
    """One line for people."""
    data = frame.get("data", {})
    match frame["type"]:
        case "balance.updated" | "balance.reverted" as kind:
            token = data.get("tokenSymbol") or data["tokenAddress"]
            amount = data["amount"] if data.get("amount") is not None else f"{data['newBalance']} raw"
            what = f"{token} {data['solverAddress']} {amount} (raw {_signed(data['changeAmount'])})"
            why = data["cause"] if kind == "balance.updated" else f"{len(data['orphaned'])} orphaned"
            told = f"{what} block {data['blockNumber']} {why}"
        case "gap":
            told = f"events of {frame['stream']} are not kept any more; balances as they are now:"
        case "snapshot":
            told = f"{len(frame['items'])} balances" + "".join(f"; {_held(item)}" for item in frame["items"])
        case "conflated":
            told = f"{frame['dropped']} events left out, the newest state of each balance follows"
        case _:
            told = " ".join(f"{key}={value}" for key, value in data.items() if value is not None)
    where = f"{frame['stream']}#{frame['seq']}" if "seq" in frame else "-"
    return plain(f"{frame.get('time', '-')} {where} {frame['type']} {told}")


def _signed(change: str | None) -> str:
    return "first" if change is None else change if change.startswith("-") else f"+{change}"


def _held(item: Frame) -> str:
    amount = item["amount"] if item["amount"] is not None else f"{item['balance']} raw"
    return f"{item['tokenSymbol'] or item['tokenAddress']} {item['solverAddress']} {amount}"


def _note(text: str) -> None:
    print(f"indexer: {text}", file=sys.stderr, flush=True)
