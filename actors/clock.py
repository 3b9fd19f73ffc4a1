"""The calendar's time, as it is stored."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """In milliseconds, which is what MongoDB keeps: what is read back is equal to what was written."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
