"""Waiting for the store: every call that is made so is safe to repeat, and what waits is bounded elsewhere.

`until_taken` is for a write that somebody waits for: while it is not taken that is said, since he hears nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from indexer.errors import StoreUnavailable

T = TypeVar("T")

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.5

OVERDUE_SECONDS: Final = 2.0
"""A write that takes so long is no slow one: a frozen server says nothing until the driver gives it up."""

AGAIN_SECONDS: Final = 1.0

FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 2.0

HeldUp = Callable[[str | None, float], None]
"""Why a write waits, and since when by the loop's clock; nothing once it is taken."""


async def patiently(who: str, work: Callable[[], Awaitable[T]]) -> T:
    """Repeat until the store answers; told once when it does not, and once when it does again."""
    ill = False
    while True:
        try:
            result = await work()
        except StoreUnavailable as error:
            if not ill:
                log.warning("store_awaited", by=who, error=repr(error))
            ill = True
            await asyncio.sleep(RETRY_SECONDS)
        else:
            if ill:
                log.info("store_answers", by=who)
            return result


async def until_taken(stream: str, write: Callable[[], Awaitable[object]], held_up: HeldUp) -> None:
    """Repeat it until the store answers; logged once when it does not, and once when it does again."""
    loop = asyncio.get_running_loop()
    since, reason, is_said = loop.time(), "it does not answer", False
    pause = FIRST_RETRY_SECONDS
    timer: asyncio.TimerHandle | None = None

    def say() -> None:
        nonlocal timer, is_said
        if not is_said:
            log.warning("store_lost", stream=stream, error=reason)
        is_said = True
        held_up(reason, since)
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
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_RETRY_SECONDS)
            else:
                break
    finally:
        timer.cancel()
    if is_said:
        log.info("store_back", stream=stream)
        held_up(None, since)
