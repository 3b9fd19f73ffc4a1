"""The times of blocks, and times as text: RFC 3339 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999: neither a date here nor one that the store gives back can be later."""


@lru_cache(maxsize=256)
def block_time(seconds: int) -> datetime:
    """A block's timestamp. What was stored from a chain that told a later one (milliseconds, say) stays readable."""
    return datetime.fromtimestamp(min(seconds, LAST_SECOND), UTC)


def time_text(time: datetime) -> str:
    """With milliseconds, which is what MongoDB keeps."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix_text(seconds: int) -> str:
    """A block's timestamp."""
    return block_time(seconds).isoformat().replace("+00:00", "Z")
