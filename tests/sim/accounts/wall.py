"""The calendar of a story: it begins on a fixed day, and passes with the loop's time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final
from unittest.mock import patch

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
    """What ccxt signs and orders by is the story's time; nothing else asks these two."""
    with patch.object(time, "time", seconds), patch.object(time, "time_ns", lambda: int(seconds() * 1e9)):
        yield
