"""Times as text: RFC 3339 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def time_text(time: datetime) -> str:
    """With milliseconds, which is what MongoDB keeps."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix_text(seconds: int) -> str:
    """A block's timestamp."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
