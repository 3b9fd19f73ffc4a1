"""One seeded run: a story of blocks, faults and kills, then rest, then the oracle."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Final
from unittest import mock
from uuid import UUID

import structlog
from aiohttp import web_app

from actors.chains.blocks import ahead
from actors.chains.reorgs.doubts import FAR_BELOW, SET_BACK_SECONDS
from indexer.clients.evm import EvmNode, HeadFeed
from indexer.config import ChainSettings, Settings
from indexer.domain.history.jobs import Job
from indexer.domain.telling.commits import Commit
from tests.sim.branches import Branches
from tests.sim.clock import play
from tests.sim.crowd import Crowd
from tests.sim.draft import drafted
from tests.sim.editing import Editor
from tests.sim.faults import NONE, Faults, dice_of, drawn
from tests.sim.lives import Lives
from tests.sim.needless import told_needlessly
from tests.sim.operating import Operator
from tests.sim.oracle import Evidence, at_rest, is_called_rightly, violations
from tests.sim.rpc.fleet import Fleet
from tests.sim.service import STREAM, Life, settings_of
from tests.sim.store import Disk
from tests.sim.world import CHAIN_ID, World

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

_NAMING_SECONDS: Final = 70.0

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


def run(seed: int, *, native_interval: int | None = None, without: Collection[str] = ()) -> Outcome:
    """`without` some faults, as it was told before they were known."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        return play(bounded(Story(seed, native_interval=native_interval, without=without)))
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
        without: Collection[str] = (),
    ) -> None:
        self._seed = seed
        self._blocks = blocks
        self._pause_seconds = pause_seconds
        self._random = Random(seed)  # noqa: S311 - a story, not a secret: its seed must repeat it
        self._apart = apart = dice_of(seed)
        self._now = replace(faults or drawn(self._random, apart), **dict.fromkeys(without, 0.0))
        self._window = self._random.choice((8, 16, 256))
        self.world = World(self._random, apart["rename"])
        self.world.silent_mints, self.world.renames = self._now.silent_mint, self._now.rename
        for _ in range(self._random.choice((1, 3, 5, 40, 300)) if faults is None else 3):
            self.world.mine()
        self.log: Sequence[Commit] = ()
        self.disk = Disk(self._random, lambda: self._now, apart["slow_store"])
        self.fleet = Fleet(self.world, self._random, lambda: self._now, apart)
        self.branches = Branches(self.world, self.fleet, self._random, lambda: self._now, apart, self._window)
        pace = 1.0 if pause_seconds is None else pause_seconds / _USUAL_PAUSE_SECONDS
        self.crowd = Crowd(self.disk, self._random, lambda: self._now, lambda: self._lives.present, pace)
        self.operator = Operator(
            self.world, self._random, lambda: self._now, lambda: self._lives.present, self._is_unedited
        )
        self._start_block = self._random.choice((None, None, 0, 5))
        intervals = (native_interval,) if native_interval else _NATIVE_INTERVALS if faults is None else (1,)
        self._native_interval = Random(f"interval {seed}").choice(intervals)  # noqa: S311 - as above
        self._lives = Lives(
            self.disk,
            self.fleet,
            self.branches,
            self._random,
            lambda: self._now,
            apart,
            self._connected,
            self._settings,
        )
        self._editor = self._hired() if self._now.reload else None
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
        life = await self._lives.begin()
        for _ in range(self._blocks):
            await asyncio.sleep(self._pause_seconds or self._random.choice(_PAUSES))
            has_reorg = self.branches.happen()
            self.crowd.happen()
            self.operator.happen()
            if self._editor is not None:
                self._editor.happen()
            self._trouble_store()
            life = await self._lives.go_on(life, has_reorg=has_reorg)
        self._now = NONE
        self.world.silent_mints = self.world.renames = 0
        await self.operator.settle()
        if self._editor is not None:
            await self._editor.settle()
        await self._rest(life)
        self.log = await self.crowd.settle()
        await self.crowd.stop()
        await life.stop()
        self.life = life
        found = [*self._lives.found, *violations(self.evidence())]
        if self._editor is not None:
            found += self._editor.faults
            self._editor.close()
        if not self.branches.reorgs:
            found += told_needlessly(self.disk.kept)
        return Outcome(
            self._seed,
            tuple(found),
            len(self.world.blocks),
            self._lives.kills,
            self.branches.reorgs,
            self.fleet.asked,
            sum(len(commit.facts) for commit in self.disk.kept.commits),
        )

    def evidence(self) -> Evidence:
        return self._evidence_of(self.life)

    def _evidence_of(self, life: Life) -> Evidence:
        return Evidence(
            world=self.world,
            kept=self.disk.kept,
            log=self.log,
            witnesses=self.crowd.witnesses,
            life=life,
            since=self.operator.since,
            away=frozenset(self.operator.away),
            start_block=self._start_block if self._editor is None else self._editor.draft.start_block,
            native_interval=self._native_interval if self._editor is None else self._editor.longest_interval,
            draft=None if self._editor is None else self._editor.draft,
            is_archive=self.fleet.is_archive,
        )

    def _trouble_store(self) -> None:
        if self._chance(self._now.step_down):
            cut_off, election = self._random.choice((0.01, 1.0, 8.0)), self._random.choice((0.1, 5.0))
            work = self.disk.step_down(cut_off_seconds=cut_off, election_seconds=election)
            self._step_down = asyncio.get_running_loop().create_task(work)

    # --- the service -------------------------------------------------------------------------------------------------

    def _settings(self) -> Settings:
        if self._editor is not None:
            return self._editor.settings()
        return settings_of(self._window, self._start_block, self._native_interval)

    def _connected(self, chain: ChainSettings) -> tuple[EvmNode, HeadFeed]:
        if chain.chain_id != CHAIN_ID:
            return self.fleet.stranger(chain.chain_id, chain.rpc_urls)
        return self.fleet.client() if self._editor is None else self.fleet.client(chain.rpc_urls, chain.ws_urls)

    def _hired(self) -> Editor:
        draft = drafted(self.fleet, self._window, self._start_block, self._native_interval)
        keeps_urls = self.fleet.laggards.has_one
        editor = Editor(
            draft, self._apart["reload"], lambda: self._now, lambda: self._lives.present, keeps_urls=keeps_urls
        )
        editor.forget = self.operator.forget
        return editor

    def _is_unedited(self) -> bool:
        return self._editor is None or self._editor.is_idle

    # --- its end -----------------------------------------------------------------------------------------------------

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
        began = loop.time()
        over, jobs = began + REST_SECONDS, tuple[Job, ...]()
        while loop.time() < over:
            await asyncio.sleep(1)
            self.operator.notice()
            if at_rest(self._evidence_of(life)):
                if is_called_rightly(self._evidence_of(life)):
                    return
                # What is called otherwise is found by the next sync; what moved in the newest block is told in another.
                if (loop.time() - began) % _NAMING_SECONDS < 1:
                    self.world.mine(busy=0)
                    self.fleet.hear()
            before, jobs = jobs, (*self.disk.kept.jobs.values(), *life.backfills.jobs())
            if jobs != before:  # twenty orders at a provider that allows three calls a second take their time
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
                self._lives.found.append(f"the chain ends {ahead_by} blocks below ours, and nobody says so: {state}")
        elif ahead_by > 0:
            await asyncio.sleep(_BELIEVED_SECONDS)
        # History of a branch that ended higher is looked at again when there are such blocks again.
        while self._ahead(life) > 0 or self.world.tip.number <= self.branches.highest:
            self.world.mine()
            self.fleet.hear()
            await asyncio.sleep(_GROWING_SECONDS)

    def _ahead(self, life: Life) -> int:
        state = life.board.one(STREAM)
        return 0 if state is None or state.block is None else state.block - self.world.tip.number

    def _chance(self, rate: float) -> bool:
        return self._random.random() < rate
