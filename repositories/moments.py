"""Bounds in time of what MongoDB keeps: it knows milliseconds, and cuts off what is finer, in queries as well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

_KEPT_MICROSECONDS: Final = 1_000


def between(start: datetime | None, end: datetime | None) -> dict[str, Any]:
    """Both inclusive; what is cut off an end is later than all that is kept up to there."""
    times = {}
    if start is not None:
        times["$gte"] = _first_kept(start)
    if end is not None:
        times["$lte"] = end.astimezone(UTC)
    return {"timestamp": times} if times else {}


def earlier_than(start: datetime) -> dict[str, Any]:
    """All that `between` leaves out for its start."""
    return {"timestamp": {"$lt": _first_kept(start)}}


def _first_kept(time: datetime) -> datetime:
    """The first time at or after this one that can be kept; the last one there is, where there is none."""
    finer = timedelta(microseconds=-time.microsecond % _KEPT_MICROSECONDS)
    try:
        return time.astimezone(UTC) + finer
    except OverflowError:
        return time.astimezone(UTC)
