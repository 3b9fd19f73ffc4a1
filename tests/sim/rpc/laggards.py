"""A whole endpoint that stands still, or stays some blocks behind for good, beside others that are well.

It answers everything, so that only what the others know gives it away; and it is never healed, so that a story ends
well only where it was found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from tests.sim.faults import Faults
from tests.sim.rpc.endpoint import SimEndpoint

_FREEZES: Final = 0.05
"""At each block, until it does."""


class Laggards:
    """One endpoint at most, and never the only one."""

    def __init__(self, endpoints: Mapping[str, SimEndpoint], faults: Callable[[], Faults], random: Random) -> None:
        self._random = random
        self.name, self.fate = "", ""
        for fate, rate in (("stands still", faults().stands_still), ("lags for good", faults().lags_for_good)):
            if len(endpoints) > 1 and rate and random.random() < rate:
                self.name, self.fate = random.choice(list(endpoints)), fate
        self._machines = endpoints[self.name].machines if self.name else ()
        if self.fate == "lags for good":
            behind = random.choice((1, 2, 3, 5, 30))
            for machine in self._machines:
                machine.keep_behind(behind)

    @property
    def has_one(self) -> bool:
        return bool(self.name)

    def live(self) -> None:
        """It comes to a standstill some time."""
        if self.fate == "stands still" and self._random.random() < _FREEZES:
            for machine in self._machines:
                machine.is_frozen = True
