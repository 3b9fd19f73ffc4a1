"""Endpoints that take every question and answer none, just when a reorg comes: then each has to say what became of it.

What they had taken before is not answered either. Their websockets go on, or fall silent with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

from tests.sim.faults import Faults
from tests.sim.rpc.endpoint import SimEndpoint
from tests.sim.rpc.line import SimLine

_SECONDS: Final = (0.5, 3.0, 12.0, 40.0)
_AFTER_SECONDS: Final = (0.0, 0.0, 0.003, 0.05, 0.3)


class Hangs:
    """Mostly the preferred one hangs; now and then all but one, or all."""

    def __init__(
        self,
        endpoints: Mapping[str, SimEndpoint],
        lines: Sequence[tuple[str, SimLine]],
        faults: Callable[[], Faults],
        random: Random,
    ) -> None:
        self.count = 0
        self._endpoints = endpoints
        self._lines = lines
        self._faults = faults
        self._random = random

    def at_reorg(self) -> None:
        """A reorg comes now, and some hang from now on or a moment later."""
        rate = self._faults().hang_at_reorg
        if rate and self._random.random() < rate:
            self.begin(self._random.choice(_AFTER_SECONDS))

    def begin(self, after_seconds: float = 0.0) -> None:
        for name in self._whose():
            self.count += 1
            seconds, falls_silent = self._random.choice(_SECONDS), self._random.random() < 0.5
            if after_seconds:
                loop = asyncio.get_running_loop()
                loop.call_later(after_seconds, self._hang, name, seconds, falls_silent)
            else:
                self._hang(name, seconds, falls_silent)

    def _whose(self) -> Sequence[str]:
        names = list(self._endpoints)
        draw = self._random.random()
        if draw < 0.6:
            return names[:1]
        return names[:-1] or names if draw < 0.8 else [self._random.choice(names)]

    def _hang(self, name: str, seconds: float, falls_silent: bool) -> None:
        self._endpoints[name].hang_for(seconds)
        for host, line in self._lines if falls_silent else ():
            if host == name:
                line.fall_silent()
