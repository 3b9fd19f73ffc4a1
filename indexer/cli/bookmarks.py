"""How far each stream was read, so that a new connection goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Bookmarks:
    """The last number per stream, and the epoch in which it counts."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._epochs: dict[str, str] = {}
        self.wants_snapshot = False
        """Nothing is known of what was before."""

    def after(self) -> Mapping[str, int]:
        return dict(self._last)

    def learn(self, stream: str, seq: int, state: str) -> None:
        """Where a stream stands, if nothing better is known. While it starts its 0 may only mean "not known yet"."""
        if seq > 0 or state != "starting":
            self._last.setdefault(stream, seq)

    def is_of_another_store(self, frame: Mapping[str, Any]) -> bool:
        """What was read says nothing of this one, which was wiped, or is an older state; that is forgotten."""
        if "seq" not in frame or self._epochs.get(frame["stream"], _epoch_of(frame)) == _epoch_of(frame):
            return False
        self._last.clear()
        self._epochs.clear()
        self.wants_snapshot = True
        return True

    def is_new(self, frame: Mapping[str, Any]) -> bool:
        """Note what the frame says; false for an event that was there before: delivery is at least once."""
        match frame["type"]:
            case "heartbeat" if not self.wants_snapshot:
                for stream, state in frame["streams"].items():
                    self.learn(stream, state["seq"], state["state"])
            case "gap":
                # What is kept of it may be another store's.
                self._last.pop(frame["stream"], None)
                self._epochs.pop(frame["stream"], None)
            case "snapshot":
                self._last.update(frame["positions"])
                self.wants_snapshot = False
            case _ if "seq" in frame:
                return self._is_new_event(frame["stream"], frame["seq"], _epoch_of(frame))
        return True

    def _is_new_event(self, stream: str, seq: int, epoch: str) -> bool:
        if seq <= self._last.get(stream, 0):
            return False
        self._last[stream] = seq
        self._epochs[stream] = epoch
        return True


def _epoch_of(frame: Mapping[str, Any]) -> str:
    return str(frame["id"]).partition(":")[0]
