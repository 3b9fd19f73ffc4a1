"""Waiting for the store: every call that is made so is safe to repeat, and what waits is bounded elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from indexer.errors import StoreUnavailable

T = TypeVar("T")

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.5


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
