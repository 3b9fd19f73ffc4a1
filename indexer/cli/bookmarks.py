"""How far each stream was read, so that a new connection goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Bookmarks:
    """The last number per stream, and the epoch in which it counts."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._epochs: dict[str, str] = {}

    def after(self) -> Mapping[str, int]:
        return dict(self._last)

    def learn(self, stream: str, seq: int, state: str) -> None:
        """Where a stream stands, if nothing better is known. While it starts its 0 may only mean "not known yet"."""
        if seq > 0 or state != "starting":
            self._last.setdefault(stream, seq)

    def is_new(self, frame: Mapping[str, Any]) -> bool:
        """Note what the frame says; false for an event that was there before: delivery is at least once."""
        match frame["type"]:
            case "heartbeat":
                for stream, state in frame["streams"].items():
                    self.learn(stream, state["seq"], state["state"])
            case "gap":
                self._last.pop(frame["stream"], None)
            case "snapshot":
                self._last.update(frame["positions"])
            case _ if "seq" in frame:
                return self._is_new_event(frame["stream"], frame["seq"], frame["id"].partition(":")[0])
        return True

    def _is_new_event(self, stream: str, seq: int, epoch: str) -> bool:
        # In a new epoch the store was wiped, and numbers begin again.
        is_same_epoch = self._epochs.get(stream, epoch) == epoch
        if is_same_epoch and seq <= self._last.get(stream, 0):
            return False
        self._last[stream] = seq
        self._epochs[stream] = epoch
        return True
