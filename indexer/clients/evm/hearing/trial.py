"""Whether a websocket that failed is of use again, found out beside the one that serves meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn

from indexer.clients.evm.asking.answers import head_of
from indexer.clients.evm.endpoints.counts import ignored
from indexer.clients.evm.hearing.line import OpenLine
from indexer.clients.evm.hearing.socket import NodeSocket, Ours
from indexer.clients.evm.hearing.together import until_one_ends
from indexer.errors import NodeUnreachable


async def tells_heads(url: str, opened: OpenLine, ours: Ours, is_new: Callable[[int], bool]) -> None:
    """Return once it has told a head that is new by itself: answers and pings are no sign of life."""
    told = asyncio.Event()

    def on_head(header: Any) -> None:
        if is_new(head_of(header).number):
            told.set()

    async with NodeSocket(url, on_head=on_head, on_log=ignored, opened=opened) as socket:

        async def read() -> NoReturn:
            await socket.read()
            raise NodeUnreachable("the websocket ended")

        await until_one_ends(read(), _subscribed(socket, ours, told))


async def _subscribed(socket: NodeSocket, ours: Ours, told: asyncio.Event) -> None:
    await socket.prove(ours)
    await socket.subscribe_heads()
    await told.wait()
