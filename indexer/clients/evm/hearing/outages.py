"""What was said of one websocket, so that one that comes and goes is told once per outage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CALM_SECONDS: Final = 30.0
"""A socket that served for less than this fails as one that never opened: with longer pauses, and in silence."""


@dataclass(slots=True)
class SocketOutage:
    """From the loss of a socket until it has served calmly for a while; each of its ends is news once."""

    refused: bool = False
    """That its node sends no hints was said: it goes on doing so, at every connection and change of the watch."""
    _opened_at: float | None = None
    _alive_at: float = 0.0
    _lasts: bool = False
    _back_is_news: bool = False

    def opened(self, now: float) -> bool:
        """It is relied on from now on; whether that ends what was told."""
        self._opened_at = self._alive_at = now
        is_news, self._back_is_news = self._back_is_news, False
        return is_news

    def told_head(self, now: float) -> None:
        self._alive_at = now

    def closed(self, now: float, *, silent: bool) -> bool:
        """Whether it served long enough to be calm; one that fell silent did so until its last head."""
        end = self._alive_at if silent else now
        is_calm = self._opened_at is not None and end - self._opened_at >= CALM_SECONDS
        self._opened_at = None
        self._lasts = self._lasts and not is_calm
        return is_calm

    def lost(self) -> bool:
        """It is gone, or cannot be opened; whether that is news."""
        is_news, self._lasts = not self._lasts, True
        self._back_is_news = self._back_is_news or is_news
        return is_news
