"""An event loop whose time jumps to the next thing to do: a simulated day takes seconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from tests.sim.owners import owned

T = TypeVar("T")

_STEP_SECONDS: Final = 1e-6
"""Nothing takes no time: who waits for what is left of a pause would else wait for ever for its last 1e-16 s."""


class _Jumping(selectors.DefaultSelector):
    """Never waits: where the loop would sleep, the clock is set forward instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everything waits and nothing is scheduled: a deadlock")
        self.now += max(timeout, _STEP_SECONDS)
        # Nothing in a simulated world reads from a file descriptor.
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """For code that neither reads sockets nor asks other threads."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def play(story: Coroutine[Any, Any, T]) -> T:
    """Run a story to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.get_loop().set_task_factory(owned)  # type: ignore[arg-type] # its protocol allows awaitables that no task takes
        return runner.run(story)
