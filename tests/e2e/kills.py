"""`python -m tests.e2e.kills N [SEED]`: kill the service N times, under traffic and reorgs, and count what was lost."""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench.longchain import OLD_RULES
from tests.e2e import truth
from tests.e2e.listening import Subscriber
from tests.e2e.service import Json, Running, end_mongod, running, until
from tests.e2e.world import World, world

IMPORTS: Final = "import indexer.cli, indexer.cli.service, indexer.app, uvloop; from indexer.clients.evm import connect"
"""What a start imports before it does anything: web3, motor and their like."""

IMPORTS_EVERY: Final = 3
"""Kills between two times that the imports are timed: what else runs on the machine changes from one to the next."""

WHOLE_EVERY: Final = 25
"""Kills between two looks at every record; after each kill only what was told is looked at."""

DEEPEST: Final = 3
"""Blocks that a reorg takes back."""


@dataclass
class Figures:
    """What happened; `print` it."""

    kills: int = 0
    mongod_kills: int = 0
    blocks: int = 0
    reorgs: int = 0
    events: int = 0
    ready: list[float] = field(default_factory=list)
    imports: list[float] = field(default_factory=list)

    @property
    def beyond(self) -> list[float]:
        """How long each start took beyond what the imports take."""
        imports = statistics.median(self.imports)
        return [seconds - imports for seconds in self.ready]

    def __str__(self) -> str:
        imports, worst = statistics.median(self.imports), max(self.beyond)
        return (
            f"{self.kills} kills ({self.mongod_kills} with the mongod), {self.blocks} blocks, {self.reorgs} reorgs, "
            f"{self.events} events; nothing lost, nothing twice; imports {imports:.2f} s, ready again "
            f"beyond them: median {statistics.median(self.beyond):.2f} s, worst {worst:.2f} s"
        )


class Slaughter:
    """One world, one store, many lives."""

    def __init__(self, home: World, service: Running, seed: int) -> None:
        self._home = home
        self._service = service
        self._rng = random.Random(seed)  # noqa: S311 - a script, not a secret
        self._calm = asyncio.Lock()
        self._events: list[Json] = []
        self._heard: dict[str, str] = {}
        self._proven: dict[truth.Holding, list[Json]] = {}
        self.figures = Figures()

    async def kill(self, times: int) -> Figures:
        traffic = asyncio.create_task(self._traffic())
        try:
            for number in range(times):
                await self._kill_once(in_its_start=number % 3 == 2)
                if number % IMPORTS_EVERY == 0:
                    self.figures.imports.append(await _importing())
                async with self._calm:
                    await self._check(whole=number % WHOLE_EVERY == WHOLE_EVERY - 1 or number == times - 1)
        finally:
            traffic.cancel()
            await asyncio.gather(traffic, return_exceptions=True)
        return self.figures

    async def _kill_once(self, *, in_its_start: bool) -> None:
        service, rng = self._service, self._rng
        if in_its_start:
            await service.kill()
            await service.launch()
            await asyncio.sleep(rng.uniform(0.0, 2.0))
        else:
            async with service.subscribed(after={self._home.stream: len(self._events)}) as subscriber:
                await asyncio.sleep(rng.uniform(0.0, 0.6))
                await service.kill()
            self._remember(subscriber)
        if service.alive:
            await service.kill()
        self.figures.kills += 1
        if rng.random() < 0.3:
            end_mongod(service.config)
            self.figures.mongod_kills += 1
        begun = time.monotonic()
        await service.start(ready=False)
        await until(service.is_ready, every=0.01)
        self.figures.ready.append(time.monotonic() - begun)

    def _remember(self, subscriber: Subscriber) -> None:
        for event in subscriber.events:
            known = self._heard.setdefault(str(event["id"]), repr(event))
            assert known == repr(event)

    async def _check(self, *, whole: bool) -> None:
        """Numbers without a hole, every event on its predecessor, and what a client has seen is there word for word."""
        home, service = self._home, self._service
        await service.followed(home.anvil)
        self._events += await service.events(home.stream, after=len(self._events))
        truth.check_dense(self._events)
        truth.check_linked(self._events)
        filled = await service.events(f"history:{home.anvil.chain_id}")  # a gap without old state is filled as history
        truth.check_dense(filled)
        kept = {str(event["id"]): repr(event) for event in (*self._events, *filled)}
        lost = self._heard.items() - kept.items()
        assert not lost, lost
        if whole:
            assert await service.events(home.stream) == self._events
            await self._prove()
        self.figures.events = len(self._events)

    async def _prove(self) -> None:
        """What the chain said of blocks that no reorg reaches is not asked again; our word on them must stay."""
        home = self._home
        above = max((row["blockNumber"] for rows in self._proven.values() for row in rows), default=0)
        found = await truth.check_history(self._service, home.anvil, home.holdings(), above=above)
        for holding, rows in self._proven.items():
            assert _lasting(found[holding])[: len(rows)] == _lasting(rows), holding
        tip = int((await home.anvil.block())["number"], 16)
        self._proven = {
            holding: [row for row in rows if row["blockNumber"] <= tip - DEEPEST] for holding, rows in found.items()
        }

    async def _traffic(self) -> None:
        home, rng, figures = self._home, self._rng, self.figures
        while True:
            async with self._calm:
                await home.stir(rng, rng.randrange(4))
                figures.blocks += 1
                if rng.random() < 0.15:
                    await home.anvil.reorg(rng.randrange(1, DEEPEST + 1))
                    figures.reorgs += 1
            await asyncio.sleep(rng.uniform(0.0, 0.15))


async def slaughter(home: World, folder: Path, *, kills: int, seed: int) -> Figures:
    """Raises where anything was lost, repeated or wrong."""
    async with running(home.config(folder)) as service:
        return await Slaughter(home, service, seed).kill(kills)


def _lasting(rows: Sequence[Json]) -> list[Json]:
    """Without what becomes more sure by and by, and until when it held."""
    return [{name: value for name, value in row.items() if name not in ("finality", "verifiedBlock")} for row in rows]


async def _importing() -> float:
    begun = time.monotonic()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", IMPORTS)
    assert await process.wait() == 0
    return time.monotonic() - begun


async def main(arguments: Sequence[str]) -> None:
    kills, seed = (int(arguments[0]) if arguments else 200), (int(arguments[1]) if arguments[1:] else 4)
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        # Where balances of all blocks can be read to the end, and the ten thousandth is mined as fast as the first.
        async with world(args=("--max-persisted-states", "1000000", *OLD_RULES)) as home:
            print(await slaughter(home, Path(folder), kills=kills, seed=seed), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
