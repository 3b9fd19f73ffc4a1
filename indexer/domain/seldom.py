"""What happens again and again is said the first time, and then once an hour at most."""

from __future__ import annotations

from typing import Final

HOUR_SECONDS: Final = 3_600.0


class Seldom:
    """Each `kind` for itself; there are as few of them as names in a configuration."""

    def __init__(self) -> None:
        self._again_at: dict[str, float] = {}

    def may_say(self, kind: str, now: float) -> bool:
        """Whether to say it now; whoever asks and may, says it."""
        if now < self._again_at.get(kind, now):
            return False
        self._again_at[kind] = now + HOUR_SECONDS
        return True
