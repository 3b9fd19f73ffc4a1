"""What ccxt's websocket client does by itself, for two hundred of them: it pings, and notes that it hears something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiohttp import WSMsgType

from indexer.domain.beat import beat_near

BEATS: Final = 12
"""In the time between two pings. All connections ping at these moments: one by one they woke an idle core each time."""

_SIGNS: Final = frozenset({WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG})


async def ping(client: Any) -> None:
    """Ccxt's `ping_loop`, at moments that all connections have in common."""
    from ccxt.base.errors import RequestTimeout  # noqa: PLC0415 - whoever gets here has imported it long ago

    misses, answer = -1, client.lastPong  # before the first ping there is nothing to answer
    while client.keepAlive and not client.closed():
        await _pause(client.keepAlive / 1000)
        # That it changed, and not its time: the calendar may be set, and dialects write the venue's.
        misses, answer = 0 if client.lastPong != answer else misses + 1, client.lastPong
        if misses >= client.maxPingPongMisses:
            client.on_error(RequestTimeout("pings are not answered any more"))
            return
        try:
            await (client.send(client.ping(client)) if client.ping else client.connection.ping())
        except Exception as error:  # noqa: BLE001 - the boundary: handed on to whoever waits for frames
            if not client.closed():
                client.on_error(error)
            return


async def _pause(seconds: float) -> None:
    now = asyncio.get_running_loop().time()
    await asyncio.sleep(beat_near(now + seconds, seconds / BEATS) - now)


def hear(noticed: Callable[[], None], client: Any, message: Any) -> None:
    """Ccxt's `handle_message`; whatever the other side says shows that it is there."""
    if message.type in _SIGNS:
        noticed()
    type(client).handle_message(client, message)
