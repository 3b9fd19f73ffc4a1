"""What happens to the chain in a story: blocks, and every kind of reorg."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random

from actors.chains.reorgs.doubts import FAR_BELOW
from tests.sim.faults import Faults
from tests.sim.rpc.fleet import Fleet
from tests.sim.world import Block, World


class Branches:
    """`window` is how deep a reorg may be that the service repairs; `say` hears of each that comes."""

    def __init__(
        self,
        world: World,
        fleet: Fleet,
        random: Random,
        faults: Callable[[], Faults],
        apart: Mapping[str, Random],
        window: int,
    ) -> None:
        self.reorgs = self.returns = 0
        self.highest = 0
        """Where the chain ended before it was set back."""
        self.say: Callable[[str], None] = _unsaid
        self._world = world
        self._fleet = fleet
        self._random = random
        self._faults = faults
        self._apart = apart
        self._back = apart["set_back"]
        self._window = window

    def happen(self) -> bool:
        """One step of the story; whether a reorg came with it."""
        before, faults = self.reorgs, self._faults()
        self._fleet.live()
        if self._strikes("reorg_in_gap", faults.reorg_in_gap):
            self._gap()
        if self._strikes("hang_before_reorg", faults.hang_before_reorg):
            self._hang()
        if self._back.random() < faults.set_back:
            far = self._back.random() < 0.1
            self.set_back(FAR_BELOW + self._back.randint(1, 40) if far else self._back.randint(1, 20))
            return True
        draw = self._random.random()
        if draw < faults.deep_reorg:
            self.reorg(self._window + self._random.randint(1, 20), 1)
        elif draw < faults.deep_reorg + faults.reorg:
            self.reorg(self._random.choice((1, 1, 2, 5, 10)), self._random.choice((0, 1, 2)))
            if self._random.random() < faults.reorg_again:
                # While the first is still being repaired.
                _later(self._random.choice((0.003, 0.01, 0.1)), self.reorg, 2, 1)
        else:
            self._world.mine()
            self._fleet.hear()
        self.say(f"the tip is {self._world.tip.number} {self._world.tip.hash}")
        return self.reorgs > before

    def reorg(self, depth: int, longer: int) -> None:
        self.reorgs += 1
        self._fleet.before_reorg()
        deepest = self._world.deepest(depth)
        left = self._world.canonical[-deepest:] if deepest else []
        self._world.reorg(depth, longer)
        self._fleet.hear()
        self.say(f"REORG {depth} deep, {longer} longer")
        if self._strikes("reorg_back", self._faults().reorg_back):
            _later(self._apart["reorg_back"].choice((0.003, 0.02, 0.3, 2.0)), self._return_to, left)

    def set_back(self, lower: int) -> None:
        """The chain ends so many blocks below; the branch may have blocks of its own."""
        self.highest = max(self.highest, self._world.tip.number)
        self.reorg(lower + self._back.choice((0, 0, 1, 5)), -lower)

    def at_start(self) -> None:
        """While the service catches up with what it missed."""
        self.reorg(self._random.choice((1, 3, 10)), 1)

    def while_away(self) -> None:
        """There is no service just now: what it knows is orphaned when it comes back."""
        dice = self._apart["reorg_while_away"]
        if self._strikes("reorg_while_away", self._faults().reorg_while_away):
            self.reorg(dice.choice((1, 2, 10, self._window + 5)), dice.choice((0, 1, 30)))

    def _return_to(self, branch: Sequence[Block]) -> None:
        self._fleet.before_reorg()
        if self._world.return_to(branch):
            self.reorgs += 1
            self.returns += 1
            self._fleet.hear()
            self.say(f"REORG back to the branch of {branch[-1].head.hash}")

    def _gap(self) -> None:
        """Of many blocks that came at once, some are orphaned before all have been followed."""
        dice = self._apart["reorg_in_gap"]
        for _ in range(dice.choice((5, 20, 80))):
            self._world.mine()
        self._fleet.hear()
        _later(dice.choice((0.002, 0.01, 0.05, 0.3)), self.reorg, dice.choice((1, 3, 10, 30)), 1)

    def _hang(self) -> None:
        dice = self._apart["hang_before_reorg"]
        self._fleet.hangs.begin()
        _later(dice.uniform(0.0, 2.5), self.reorg, dice.choice((1, 1, 2, 4)), 1)

    def _strikes(self, name: str, rate: float) -> bool:
        return bool(rate) and self._apart[name].random() < rate


def _later(seconds: float, work: Callable[..., None], *given: object) -> None:
    asyncio.get_running_loop().call_later(seconds, work, *given)


def _unsaid(_line: str) -> None: ...
