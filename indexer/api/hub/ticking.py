"""What is done again and again by the clock, and goes on when it fails once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger(__name__)

MOST_FAILURES: Final = 30
"""In a row; then whoever owns it decides."""


class Ticker:
    """Owns its task: no end of it goes unheard, and none keeps `stop` from returning."""

    def __init__(self, tick: Callable[[], None], seconds: float, *, give_up: Callable[[Exception], None]) -> None:
        self._tick = tick
        self._seconds = seconds
        self._give_up = give_up
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._go_on(), name="ticker")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    async def _go_on(self) -> None:
        failures = 0
        while True:
            await asyncio.sleep(self._seconds)
            try:
                self._tick()
            except Exception as error:
                # The boundary of one tick: without the next ones nobody would hear that we live, nor that it failed.
                failures += 1
                if failures == 1:
                    log.exception("tick_failed", error=type(error).__name__)
                if failures == MOST_FAILURES:
                    log.error("ticks_given_up", failures=failures)  # noqa: TRY400 - its traceback was logged
                    self._give_up(error)
                    return
            else:
                if failures:
                    log.info("tick_recovered", failures=failures)
                failures = 0
