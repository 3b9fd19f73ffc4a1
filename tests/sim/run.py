"""One seeded run: a story of blocks, faults and kills, then rest, then the oracle."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any, Final
from unittest import mock
from uuid import UUID

import structlog
from aiohttp import web_app

from actors.chains.blocks import ahead
from actors.chains.reorgs.doubts import FAR_BELOW, SET_BACK_SECONDS
from indexer.config import Settings
from tests.sim.clock import play
from tests.sim.crowd import Crowd
from tests.sim.faults import NONE, OF_RANGES, Faults, drawn
from tests.sim.needless import told_needlessly
from tests.sim.operating import Operator
from tests.sim.oracle import Evidence, at_rest, violations
from tests.sim.rpc.fleet import Fleet
from tests.sim.service import STREAM, Life, settings_of
from tests.sim.store import Disk
from tests.sim.world import World

REST_SECONDS: Final = 240.0
"""Virtual time within which everything must be well again after the last fault."""

LONGEST_STORY_SECONDS: Final = 3_600.0
"""Virtual time after which a story waits for something that never comes."""

LONGEST_ANSWER_SECONDS: Final = 11.0
"""So long a question that was put before may still hang, and its end is one more fault."""

_BLOCKS_BEYOND: Final = 20
_NATIVE_INTERVALS: Final = (1, 1, 1, 1, 3, 7)

_BELIEVED_SECONDS: Final = SET_BACK_SECONDS + 20.0
"""So long a branch that ends below ours has to stay, with the pauses between two questions."""

_GROWING_SECONDS: Final = 2.0

_LONGEST: Final = 300
_PAUSES: Final = (0.01, 0.3, 1.0, 4.0)
_USUAL_PAUSE_SECONDS: Final = sum(_PAUSES) / len(_PAUSES)


@dataclass(frozen=True)
class Outcome:
    """What a run came to; `violations` must be empty."""

    seed: int
    violations: tuple[str, ...]
    blocks: int = 0
    kills: int = 0
    reorgs: int = 0
    asked: int = 0
    events: int = 0

    def __str__(self) -> str:
        said = "; ".join(self.violations[:3])
        return f"make sim SEED={self.seed} RUNS=1   # {said if len(said) <= _LONGEST else said[:_LONGEST] + '…'}"


def run(seed: int, *, as_kept: bool = False, lapses: bool = True) -> Outcome:
    """`as_kept`: as it was told before chains were set back, and natives read now and then only.

    Without `lapses`, as before logs of a range were left out.
    """
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        kept: dict[str, Any] = {"native_interval": 1, "sets_back": False} if as_kept else {}
        return play(bounded(Story(seed, lapses=lapses and not as_kept, **kept)))
    except Exception as error:  # noqa: BLE001 - whatever ends a story early is told like a violation, with its seed
        return Outcome(seed, (f"the story broke off: {error!r}",))
    finally:
        structlog.configure(**before)
        # It keeps a thousand of those that handled requests, and with each the whole world of its story.
        web_app._cached_build_middleware.cache_clear()


async def bounded(story: Story) -> Outcome:
    async with asyncio.timeout(LONGEST_STORY_SECONDS):
        return await story.tell()


def _drawn_id(ids: Random) -> UUID:
    return UUID(int=ids.getrandbits(128), version=4)


class Story:
    """A world, its endpoints, a store, clients that stay, and one life of the service after the other."""

    def __init__(
        self,
        seed: int,
        blocks: int = 60,
        faults: Faults | None = None,
        pause_seconds: float | None = None,
        native_interval: int | None = None,
        *,
        sets_back: bool = True,
        lapses: bool = True,
    ) -> None:
        self._seed = seed
        self._blocks = blocks
        self._pause_seconds = pause_seconds
        self._random = Random(seed)  # noqa: S311 - a story, not a secret: its seed must repeat it
        apart = {
            "left_out": Random(f"apart {seed}"),  # noqa: S311 - as above
            "other_block": Random(f"other_block {seed}"),  # noqa: S311 - as above
            "stands_still": Random(f"stands_still {seed}"),  # noqa: S311 - as above
            "lags_for_good": Random(f"lags_for_good {seed}"),  # noqa: S311 - as above
            "begins_anew": Random(f"begins_anew {seed}"),  # noqa: S311 - as above
            "set_back": Random(f"set_back {seed}"),  # noqa: S311 - as above
            "left_out_of_range": Random(f"left_out_of_range {seed}"),  # noqa: S311 - as above
            "other_hash": Random(f"other_hash {seed}"),  # noqa: S311 - as above
        }
        self._back = apart["set_back"]
        self._now = faults or drawn(self._random, apart)
        if not sets_back:
            self._now = replace(self._now, set_back=0.0)
        if not lapses:
            self._now = replace(self._now, **dict.fromkeys(OF_RANGES, 0.0))
        self._window = self._random.choice((8, 16, 256))
        self.world = World(self._random)
        self.world.silent_mints = self._now.silent_mint
        for _ in range(self._random.choice((1, 3, 5, 40, 300)) if faults is None else 3):
            self.world.mine()
        self.disk = Disk(self._random, lambda: self._now)
        self.fleet = Fleet(self.world, self._random, lambda: self._now, apart)
        pace = 1.0 if pause_seconds is None else pause_seconds / _USUAL_PAUSE_SECONDS
        self.crowd = Crowd(self.disk, self._random, lambda: self._now, lambda: self._present, pace)
        self.operator = Operator(self.world, self._random, lambda: self._now, lambda: self._present)
        self._present: Life | None = None
        self._start_block = self._random.choice((None, None, 0, 5))
        self._kills = self._reorgs = 0
        intervals = (native_interval,) if native_interval else _NATIVE_INTERVALS if faults is None else (1,)
        self._native_interval = Random(f"interval {seed}").choice(intervals)  # noqa: S311 - as above
        self._found: list[str] = []
        self._highest = 0
        """Where the chain ended before it was set back."""
        self._part = Random(f"part {seed}").choice((2, 5, ahead.CATCH_UP_BLOCKS))  # noqa: S311 - as above

    async def tell(self) -> Outcome:
        ids = Random(f"ids {self._seed}")  # noqa: S311 - as above
        with (
            # Gaps of a story are short: in parts this small, each is followed in several.
            mock.patch.object(ahead, "CATCH_UP_BLOCKS", self._part),
            # Of jobs that were ordered in the same moment, their ids decide which goes first.
            mock.patch("uuid.uuid4", partial(_drawn_id, ids)),
        ):
            return await self._told()

    async def _told(self) -> Outcome:
        random.seed(self._seed)  # what the product draws by itself, such as jitter
        self.crowd.start()
        life = await self._live()
        for _ in range(self._blocks):
            await asyncio.sleep(self._pause_seconds or self._random.choice(_PAUSES))
            self._happen()
            self.crowd.happen()
            self.operator.happen()
            self._trouble_store()
            if self._chance(self._now.kill):
                life = await self._kill(life)
        self._now = NONE
        self.world.silent_mints = 0
        await self.operator.settle()
        await self._rest(life)
        self.log = await self.crowd.settle()
        await self.crowd.stop()
        await life.stop()
        self.life = life
        found = [*self._found, *violations(self.evidence())]
        if not self._reorgs:
            found += told_needlessly(self.disk.kept)
        return Outcome(
            self._seed,
            tuple(found),
            len(self.world.blocks),
            self._kills,
            self._reorgs,
            self.fleet.asked,
            sum(len(commit.facts) for commit in self.disk.kept.commits),
        )

    def evidence(self) -> Evidence:
        return Evidence(
            world=self.world,
            kept=self.disk.kept,
            log=self.log,
            witnesses=self.crowd.witnesses,
            life=self.life,
            since=self.operator.since,
            start_block=self._start_block,
            native_interval=self._native_interval,
            is_archive=self.fleet.is_archive,
        )

    # --- the world ---------------------------------------------------------------------------------------------------

    def _happen(self) -> None:
        self.fleet.live()
        if self._back.random() < self._now.set_back:
            far = self._back.random() < 0.1
            self._set_back(FAR_BELOW + self._back.randint(1, 40) if far else self._back.randint(1, 20))
            return
        draw, faults = self._random.random(), self._now
        if draw < faults.deep_reorg:
            self._reorg(self._window + self._random.randint(1, 20), 1)
        elif draw < faults.deep_reorg + faults.reorg:
            self._reorg(self._random.choice((1, 1, 2, 5, 10)), self._random.choice((0, 1, 2)))
            if self._chance(faults.reorg_again):
                # While the first is still being repaired.
                asyncio.get_running_loop().call_later(self._random.choice((0.003, 0.01, 0.1)), self._reorg, 2, 1)
        else:
            self.world.mine()
            self.fleet.hear()

    def _reorg(self, depth: int, longer: int) -> None:
        self._reorgs += 1
        self.fleet.before_reorg()
        self.world.reorg(depth, longer)
        self.fleet.hear()

    def _set_back(self, lower: int) -> None:
        """The chain ends so many blocks below; the branch may have blocks of its own."""
        self._highest = max(self._highest, self.world.tip.number)
        self._reorg(lower + self._back.choice((0, 0, 1, 5)), -lower)

    def _trouble_store(self) -> None:
        if self._chance(self._now.step_down):
            cut_off, election = self._random.choice((0.01, 1.0, 8.0)), self._random.choice((0.1, 5.0))
            work = self.disk.step_down(cut_off_seconds=cut_off, election_seconds=election)
            self._step_down = asyncio.get_running_loop().create_task(work)

    # --- lives of the service ----------------------------------------------------------------------------------------

    async def _live(self) -> Life:
        life = Life(self.disk, lambda _settings: self.fleet.client(), self._settings())
        self._present = life
        await life.start()
        return life

    def _settings(self) -> Settings:
        return settings_of(self._window, self._start_block, self._native_interval)

    async def _kill(self, life: Life) -> Life:
        """Between any two awaits: after so many turns of the loop, in most of which somebody goes on."""
        self._kills += 1
        await asyncio.sleep(self._random.choice((0.0, 0.001, 0.003, 0.01, 0.1)))
        for _ in range(self._random.choice((0, 0, 3, 10, 30))):
            await asyncio.sleep(0)
        life.kill()
        self.fleet.hang_up()
        await asyncio.sleep(self._random.choice((0.1, 5.0)))
        for _ in range(self._random.choice((0, 1, 3, 6, 50))):
            self._happen()
        life = await self._live()
        if self._chance(self._now.reorg_at_start):
            # While it catches up with what it missed.
            await asyncio.sleep(self._random.choice((0.002, 0.01, 0.05, 0.3)))
            self._reorg(self._random.choice((1, 3, 10)), 1)
        return life

    async def _rest(self, life: Life) -> None:
        """The faults are over: one last block, and time to get well.

        Whoever stands still does so; that it stands on an orphaned block shows by how far the others get.
        """
        loop = asyncio.get_running_loop()
        await asyncio.sleep(3)
        self.fleet.heal()
        for _ in range(_BLOCKS_BEYOND if self.fleet.laggards.has_one else 0):
            self.world.mine()
            self.fleet.hear()
            await asyncio.sleep(1)
        self.world.mine()
        self.fleet.hear()
        await asyncio.sleep(LONGEST_ANSWER_SECONDS)
        await self._grow_back(life)
        over, filled = loop.time() + REST_SECONDS, 0
        while loop.time() < over:
            await asyncio.sleep(1)
            self.operator.notice()
            if at_rest(self.world, self.disk.kept, life, self._start_block):
                return
            before, filled = filled, sum(not job.is_filling for job in self.disk.kept.jobs.values())
            if filled > before:  # twenty orders at a provider that allows three calls a second take their time
                over = max(over, loop.time() + REST_SECONDS / 2)

    async def _grow_back(self, life: Life) -> None:
        """A chain that ends far below our newest block, or below all that we remember, is not followed: it has to grow.

        One that ends a little below is, once it has stayed so for a while.
        """
        ahead_by = self._ahead(life)
        if ahead_by > FAR_BELOW + 1:
            self.world.mine()  # where nothing is mined, nobody has to say anything
            self.fleet.hear()
            await asyncio.sleep(_BELIEVED_SECONDS)
            state = life.board.one(STREAM)
            if state is not None and state.ready:
                self._found.append(f"the chain ends {ahead_by} blocks below ours, and nobody says so: {state}")
        elif ahead_by > 0:
            await asyncio.sleep(_BELIEVED_SECONDS)
        # History of a branch that ended higher is looked at again when there are such blocks again.
        while self._ahead(life) > 0 or self.world.tip.number <= self._highest:
            self.world.mine()
            self.fleet.hear()
            await asyncio.sleep(_GROWING_SECONDS)

    def _ahead(self, life: Life) -> int:
        state = life.board.one(STREAM)
        return 0 if state is None or state.block is None else state.block - self.world.tip.number

    def _chance(self, rate: float) -> bool:
        return self._random.random() < rate
