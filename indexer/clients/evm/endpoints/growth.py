"""When more is tried again of an endpoint that took less for a while."""

from __future__ import annotations

from typing import Final

_SURVIVED_SECONDS: Final = 60.0
"""What is refused sooner than this after more was tried is still too much."""


class Growth:
    """The pause doubles each time that more was still too much, and is the first one again after it was not."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first = self._pause = first_seconds
        self._longest = longest_seconds
        self._due: float | None = None
        self._grown_at: float | None = None
        """Since then nothing was lowered."""

    def lowered(self, now: float) -> None:
        if self._grown_at is not None:
            was_too_much = now - self._grown_at <= max(self._pause, _SURVIVED_SECONDS)
            self._pause = min(2 * self._pause, self._longest) if was_too_much else self._first
            self._grown_at = None
        self._due = now + self._pause

    def is_due(self, now: float) -> bool:
        return self._due is not None and now >= self._due

    def grown(self, now: float, *, is_whole: bool) -> None:
        """More is taken from now on; all of it, where it is whole."""
        if self._grown_at is not None:
            self._pause = self._first
        self._grown_at = now
        self._due = None if is_whole else now + self._pause
