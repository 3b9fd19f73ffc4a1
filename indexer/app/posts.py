"""Addresses that outlive actors: whoever tells them something reaches the present life, if there is one."""

from __future__ import annotations

from typing import Any

from pykka import ActorRef

from actors.base import queued


class Post:
    """What is told while the actor is between two lives is lost; each new life reads the log for what it missed."""

    def __init__(self) -> None:
        self._ref: ActorRef[Any] | None = None

    def move_to(self, ref: ActorRef[Any]) -> ActorRef[Any]:
        self._ref = ref
        return ref

    @property
    def ref(self) -> ActorRef[Any] | None:
        return self._ref if self._ref is not None and self._ref.is_alive() else None

    @property
    def waiting(self) -> int:
        """Messages that this life has not got to."""
        return queued(self.ref)

    def tell(self, message: object) -> None:
        ref = self.ref
        if ref is not None:
            ref.tell(message)
