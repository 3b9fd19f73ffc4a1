"""The calendar of a story: it begins on a fixed day, and passes with the loop's time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final
from unittest.mock import patch

from ccxt.async_support.base import throttler

EPOCH: Final = 1_795_240_020
"""The second at which every story begins."""


def seconds() -> float:
    return EPOCH + asyncio.get_running_loop().time()


def now() -> datetime:
    return datetime.fromtimestamp(seconds(), UTC)


def moment(told: datetime) -> float:
    """The loop's time at that moment."""
    return told.timestamp() - EPOCH


@contextmanager
def virtual_time() -> Iterator[None]:
    """What ccxt signs, orders and paces its sockets by is the story's time; nothing else asks for it here.

    Its throttler holds the function itself: by the real clock, a story would wait for real milliseconds in steps of
    virtual ones, as many as the machine is fast.
    """
    with (
        patch.object(time, "time", seconds),
        patch.object(time, "time_ns", lambda: int(seconds() * 1e9)),
        patch.object(throttler, "time", seconds),
    ):
        yield
