"""Those who are at the service from outside: three clients, and what happens to their connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from indexer.domain.telling.commits import Commit
from tests.sim.clients import Client, Poller, Present, Returner, Subscriber
from tests.sim.faults import Faults
from tests.sim.store import Disk

CATCH_UP_SECONDS = 90.0
"""For the longest of a client's own pauses, a silent connection to be noticed, and a page after page."""


class Crowd:
    """Starts them before the first life; they outlive every kill. `pace` stretches the pauses of who polls."""

    def __init__(
        self, disk: Disk, random: Random, faults: Callable[[], Faults], present: Present, pace: float = 1.0
    ) -> None:
        self._disk = disk
        self._random = random
        self._faults = faults
        self._pace = pace
        self._clients: dict[str, Client] = {
            "subscriber": Subscriber("subscriber", random, present, disk),
            "returner": Returner("returner", random, present, disk),
            "poller": Poller("poller", random, present, disk, pace),
        }
        self.witnesses = [client.witness for client in self._clients.values()]

    def start(self) -> None:
        for client in self._clients.values():
            client.start()

    def happen(self) -> None:
        """One step of the story."""
        draw, faults = self._random.random, self._faults()
        returner = self._clients["returner"]
        if draw() < faults.lost_connection:
            returner.lose(silently=draw() < 0.3)
        if draw() < faults.slow_reader:
            returner.doze(asleep=True)
            asyncio.get_running_loop().call_later(self._random.choice((1, 5, 40)), lambda: returner.doze(asleep=False))

    async def settle(self) -> Sequence[Commit]:
        """The log at a moment at which all of them have got to its end, or should have."""
        loop = asyncio.get_running_loop()
        over, heard = loop.time() + CATCH_UP_SECONDS * self._pace, 0
        while loop.time() < over:
            before, heard = heard, sum(len(witness.events) for witness in self.witnesses)
            if heard > before:  # who polls for thousands of events, two at a time, takes a while
                over = loop.time() + CATCH_UP_SECONDS * self._pace
            ends = {commit.stream: commit.last_seq for commit in self._disk.kept.commits}
            if all(witness.last == ends for witness in self.witnesses):
                break
            await asyncio.sleep(0.5)
        for client in self._clients.values():
            client.end()
        return tuple(self._disk.kept.commits)

    async def stop(self) -> None:
        for client in self._clients.values():
            await client.ended()
