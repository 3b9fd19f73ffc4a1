"""A commit that the store does not take: said while it lasts, since the actor hears nothing else meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from actors.patience import RETRY_SECONDS
from indexer.errors import StoreUnavailable

log = structlog.get_logger(__name__)

OVERDUE_SECONDS: Final = 2.0
"""A write that takes so long is no slow one: a frozen server says nothing until the driver gives it up."""

AGAIN_SECONDS: Final = 1.0

HeldUp = Callable[[str | None, float], None]
"""Why a commit waits, and since when by the loop's clock; nothing once it is taken."""


async def until_taken(stream: str, write: Callable[[], Awaitable[object]], held_up: HeldUp) -> None:
    """Repeat it until the store answers; logged once when it does not, and once when it does again."""
    loop = asyncio.get_running_loop()
    since, reason, is_said = loop.time(), "", False
    timer: asyncio.TimerHandle | None = None

    def say() -> None:
        nonlocal timer, is_said
        if not is_said:
            log.warning("store_lost", stream=stream, error=reason or f"no answer for {OVERDUE_SECONDS:g} s")
        is_said = True
        held_up(f"a commit waits for the store: {reason or 'it does not answer'}", since)
        if timer is not None:
            timer.cancel()
        timer = loop.call_later(AGAIN_SECONDS, say)

    timer = loop.call_later(OVERDUE_SECONDS, say)
    try:
        while True:
            try:
                await write()
            except StoreUnavailable as error:
                reason = repr(error)
                say()
                await asyncio.sleep(RETRY_SECONDS)
            else:
                break
    finally:
        timer.cancel()
    if is_said:
        log.info("store_back", stream=stream)
        held_up(None, since)
