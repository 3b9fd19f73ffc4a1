"""History beside the heads: what is there already counts, and no reorg is too deep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pykka import ActorRef

from actors.base import end
from actors.history import jobs
from actors.history.anchoring import Anchorage
from actors.history.backfill import BackfillActor, Fill
from actors.history.branches import Branches
from actors.history.collecting import Collector
from actors.history.filling import Filler
from actors.history.jobs import KEPT_JOBS
from actors.history.older import older_than
from actors.history.preparing import Preparer
from actors.history.settling import Settler
from actors.history.telling import NOBODY, Narrator, _with
from actors.messages import Begin, PassedOver
from actors.statusboard import Line
from indexer.domain.balances import BalanceUpdated, Cause, Watch
from indexer.domain.chain import NATIVE, Address, BlockHash, BlockRef, Head, Holding, TokenInfo
from indexer.domain.history.backfill import Change, Chunk, Native
from indexer.domain.history.crossings import Crossed
from indexer.domain.history.jobs import MOST_RESTS, Anchor, Job, Stage, stages_of
from indexer.domain.history.stories import Depths
from indexer.domain.history.walks import Walk
from indexer.domain.recording.holes import Hole
from indexer.domain.recording.records import fold
from indexer.domain.resuming.checkpoints import Mark
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import HistoryFilled, HistoryRow
from indexer.errors import BadAnswer, Impossible, StoreUnavailable
from tests.actors.fakes import TIME
from tests.sim.clock import play
from tests.sim.faults import NONE
from tests.sim.node import SimNode
from tests.sim.store import Disk, SimStore
from tests.sim.world import CHAIN_ID, WALLETS, World

HOLDING = Holding(NATIVE, WALLETS[0])


class _Scene:
    """A world of thirty blocks, a store, and what fills history without an actor around it."""

    def __init__(self) -> None:
        random = Random(5)  # noqa: S311 - the same story every time
        self.world = World(random)
        for _ in range(30):
            self.world.mine()
        self.store = SimStore(Disk(random, lambda: NONE))
        self.node = SimNode(self.world, Random(5), lambda: NONE)  # noqa: S311 - nothing is drawn from it
        self.committed: list[Any] = []
        self.ledger: Any = self
        self.seq = 0
        self.due: frozenset[Holding] = frozenset()
        self.watch = Watch(solvers=frozenset(WALLETS))

    async def commit(self, facts: Any, _head: object) -> None:
        self.committed.extend(facts)

    async def record(self, number: int, balance: int, cause: Cause = "native") -> None:
        """As it was heard live."""
        fact = BalanceUpdated(CHAIN_ID, HOLDING, None, balance, self.block(number), cause, TokenInfo())
        await self.store.books.project(fold([Commit("live", f"chain:{CHAIN_ID}", 1, TIME, (fact,))]))

    async def fill(self, number: int) -> None:
        """As an earlier job filled it in."""
        row = HistoryRow(self.block(number), 7, None, (), "latest", derived=False)
        fact = HistoryFilled(CHAIN_ID, HOLDING, 0, 20, (row,), TokenInfo(), "job")
        await self.store.books.project(fold([Commit("filled", f"history:{CHAIN_ID}", 1, TIME, (fact,))]))

    def replace_from(self, number: int) -> None:
        """A reorg of this block and all above it."""
        self.world.reorg(len(self.world.canonical) - number)

    def block(self, number: int) -> BlockRef:
        return self.world.canonical[number].head.ref

    def narrator(self) -> Narrator:
        return Narrator(
            stream=f"history:{CHAIN_ID}",
            ledger=self.ledger,
            log=self.store.commits,
            chunks=self.store.backfills,
            records=self.store.balances,
            projected=self._projected,
            breathe=self._breathe,
            saw=lambda _job: None,
        )

    def filler(self) -> Filler:
        unused: Any = None
        return Filler(
            name="sim",
            node=self.node,
            preparer=self.preparer(),
            collector=Collector(self.node),
            second=unused,
            narrator=unused,
            ledger=self.ledger,
            branches=self.branches,
            book=self.store.backfills,
            coverage=self.store.coverage,
            records=self.store.balances,
            tokens=unused,
            breathe=self._breathe,
            saw=lambda _job: None,
        )

    def preparer(self) -> Preparer:
        anchorage = Anchorage(
            records=self.store.balances,
            caught_up=self._breathe,
            due=lambda: self.due,
            watched=lambda: self.watch,
        )
        return Preparer(
            node=self.node,
            anchorage=anchorage,
            branches=self.branches,
            ledger=self.ledger,
            coverage=self.store.coverage,
            watched=lambda: self.watch,
        )

    def settler(self) -> Settler:
        return Settler(
            name="sim",
            stream=f"history:{CHAIN_ID}",
            node=self.node,
            branches=self.branches,
            ledger=self.ledger,
            projected=self._projected,
        )

    @property
    def branches(self) -> Branches:
        return Branches(
            chain_id=CHAIN_ID,
            node=self.node,
            chunks=self.store.backfills,
            records=self.store.balances,
            checkpoints=self.store.checkpoints,
            window=8,
        )

    async def keep(self, _job: Job) -> None: ...

    async def _projected(self, _stream: str, _seq: int) -> None: ...

    async def _breathe(self) -> None: ...


def test_where_state_begins_history_goes_on_from_the_record_that_is_there() -> None:
    """Not from the one before its first block: what changed in between is recorded already."""

    async def story() -> int | None:
        scene = _Scene()
        await scene.record(9, 12)
        await scene.record(29, 30)
        job = Job("job", CHAIN_ID, 8, 28, (HOLDING,), anchors={HOLDING: Anchor(29, 30, False)}, unread=13)
        walks = {HOLDING: Walk(29, 30, is_native=True, opening=5)}
        stories = await scene.narrator()._stories(job, walks, Depths(0, 0, 0), {})
        return stories.each[HOLDING].teller.held

    assert play(story()) == 12


def _begun_after_a_gap(opening: int | None = 0, **more: Any) -> tuple[int | None, list[tuple[int, int, int | None]]]:
    """An earlier order filled up to block 12, this one fills from 15 on, where there was nothing any more."""

    async def story() -> tuple[int | None, list[tuple[int, int, int | None]]]:
        scene = _Scene()
        await scene.fill(9)
        await scene.record(29, 30, "first")
        job = Job("job", CHAIN_ID, 15, 28, (HOLDING,), anchors={HOLDING: Anchor(29, 30, True)}, **more)
        walks = {HOLDING: Walk(29, 30, is_native=True, opening=opening)}
        stories = await scene.narrator()._stories(job, walks, Depths(0, 0, 0), {})
        held = stories.each[HOLDING].teller.held
        stories.open(HOLDING, scene.block(15), 0)
        stories.take(Change(HOLDING, scene.block(20), 0, 0))
        stories.take(Change(HOLDING, scene.block(25), 0, 4))
        return held, [(row.block.number, row.balance, row.change) for fact in stories.due(28) for row in fact.rows]

    return play(story())


def test_after_a_gap_that_nobody_filled_history_opens_anew() -> None:
    """An older record of 7 must not seem to have held until block 24: nothing is news then."""
    assert _begun_after_a_gap() == (0, [(15, 0, None), (25, 4, 4)])


def test_a_gap_up_to_where_state_begins_is_not_bridged_by_an_older_record() -> None:
    assert _begun_after_a_gap(None, unread=17) == (None, [(20, 0, None), (25, 4, 4)])


def test_what_a_reorg_took_back_goes_on_from_what_it_left() -> None:
    assert _begun_after_a_gap(7, filled_from=3) == (7, [(20, 0, -7), (25, 4, 4)])
    assert Job("job", CHAIN_ID, 3, None, (HOLDING,)).again_from(15).filled_from == 3
    assert Job("job", CHAIN_ID, 3, None, (HOLDING,), unread=9).again_from(15).filled_from == 10


def test_what_a_reorg_took_back_and_cannot_be_read_any_more_is_not_bridged_by_what_it_left() -> None:
    """The job before filled up to block 14; up to block 17 nobody can say what the new branch did."""
    assert _begun_after_a_gap(7, filled_from=3, unread=17) == (None, [(20, 0, None), (25, 4, 4)])


def test_history_goes_on_from_the_record_below_it_whatever_moved_without_a_log_since() -> None:
    """It must follow on that record, and tell what an order from further below has told of the same blocks."""

    async def known_before(
        _job: Job, holdings: Collection[Holding], _number: int, _beside: object
    ) -> dict[Holding, int]:
        return dict.fromkeys(holdings, 5)

    async def story() -> dict[Holding, int]:
        scene = _Scene()
        await scene.fill(9)
        await scene.record(29, 30)
        filler = scene.filler()
        collector: Any = SimpleNamespace(known_before=known_before)
        filler._collector = collector
        job = Job("job", CHAIN_ID, 15, 28, (HOLDING,), anchors={HOLDING: Anchor(29, 30, False)})
        older = await older_than(scene.store.balances, job, HOLDING, job.first)
        return await filler._known(job, {HOLDING: Walk(29, 30, is_native=True)}, {HOLDING: older}, None)

    assert play(story()) == {HOLDING: 7}


def test_history_is_not_walked_back_from_a_record_whose_block_was_just_replaced() -> None:
    """Else what it says would be taken for what holds at the block in its place."""

    async def story() -> None:
        scene = _Scene()
        await scene.record(29, 30)
        filler = scene.filler()
        scene.node.tag_lags = (2, 6)  # a final block, that both branches have
        headers = scene.node.headers

        async def reorganised(first: int, last: int, beside: BlockRef | None = None) -> tuple[Head, ...]:
            found = await headers(first, last, beside)
            scene.world.reorg(4)
            return found

        scene.node.headers = reorganised  # type: ignore[method-assign] # right after the record was compared
        with pytest.raises(BadAnswer, match="block 29 is being replaced"):
            await filler.fill(Job("job", CHAIN_ID, 2, None, (HOLDING,)), scene.keep)

    play(story())


def test_history_does_not_go_on_from_a_record_of_an_orphaned_block() -> None:
    """Another job has filled it in and will take it back: it has to do that first."""

    async def walked_down(_job: Job, _crossed: Crossed) -> dict[Holding, Walk]:
        return {HOLDING: Walk(29, 30, is_native=True)}

    async def story() -> None:
        scene = _Scene()
        await scene.fill(24)
        scene.world.reorg(7)
        await scene.record(29, 30)
        job = Job("job", CHAIN_ID, 26, 28, (HOLDING,), anchors={HOLDING: Anchor(29, 30, False)}, state="telling")
        narrator: Any = SimpleNamespace(walk=walked_down)
        filler = scene.filler()
        filler._narrator = narrator
        with pytest.raises(BadAnswer, match="block 24 is being replaced"):
            await filler.fill(job, scene.keep)

    play(story())


def test_a_gap_of_which_the_block_before_is_orphaned_is_not_gone_on_from() -> None:
    """What was recorded up to there may be gone with it."""

    async def story() -> tuple[BlockRef | None, BlockRef | None]:
        scene = _Scene()
        await scene.record(20, 7, "resync")
        job = Job("job", CHAIN_ID, 11, 19, (HOLDING,), after=scene.block(10), trailing=frozenset({HOLDING}))
        kept = (await scene.branches.grounded(job)).after
        scene.world.reorg(25)
        return kept, (await scene.branches.grounded(job)).after

    kept, orphaned = play(story())
    assert kept is not None
    assert orphaned is None


def test_history_is_looked_at_until_whoever_follows_the_chain_is_beyond_the_reach_of_a_reorg() -> None:
    """While that one is behind, a reorg that it takes back block by block reaches blocks that are final to the node."""

    async def story() -> list[str]:
        scene = _Scene()
        await scene.record(20, 7, "first")
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="settling")
        job = replace(job, told=19, settled=22, base=scene.block(19), highest=scene.block(19))
        states: list[str] = []
        for followed in (None, 20, 26, 27):
            if followed is not None:
                heads = [block.head for block in scene.world.canonical[: followed + 1]]
                await scene.store.checkpoints.follow(f"chain:{CHAIN_ID}", heads, Mark())
            settled, again = await scene.settler().settle(job)
            over = await scene.filler()._over(job)
            assert again is None
            assert over.state == settled.state
            states.append(settled.state)
        return states

    assert play(story()) == ["settling", "settling", "settling", "done"]


def _redone_from(depth: int, *, knows_base: bool = False, anchor: int = 20, rests: int = 14) -> int:
    """Filled from block 2 on up to 20, of which 15 was taken for settled; then a reorg."""

    async def story() -> int:
        scene = _Scene()
        await scene.fill(14)
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(anchor, 7, True)}, state="settling")
        settling = Job(
            **{
                name: getattr(job, name)
                for name in Job.__slots__
                if name not in ("settled", "base", "highest", "told", "rests")
            },
            rests={HOLDING: rests},
            told=20,
            settled=15,
            base=scene.block(15) if knows_base else None,
            highest=scene.block(20),
        )
        scene.world.reorg(depth)
        done, again = await scene.settler().settle(settling)
        assert done.state == "done"
        assert again is not None
        assert [fact.first for fact in scene.committed] == [again.first]
        return again.first

    return play(story())


def _staged(scene: _Scene) -> Job:
    """Filled from block 2 on up to 26, of which 15 was taken for settled; told were records of 14, 17, 22 and 25."""
    job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(27, 7, True)}, state="settling")
    branch = [scene.block(number) for number in range(16, 27)]
    staged = replace(job, told=26, settled=15, base=scene.block(15), highest=scene.block(26))
    return replace(staged, stages=stages_of(branch, 15)).with_rows((HOLDING, number) for number in (14, 17, 22, 25))


@pytest.mark.parametrize(
    ("deepest", "first", "grounds"),
    [
        (26, 23, [15, 18, 22]),  # only the highest block is replaced
        (25, 23, [15, 18, 22]),
        (24, 19, [15, 18]),
        (23, 19, [15, 18]),
        (19, 16, [15]),
        (15, 2, []),
    ],
)
def test_a_reorg_takes_back_little_more_history_than_it_replaced(deepest: int, first: int, grounds: list[int]) -> None:
    async def story() -> tuple[int, list[int], int | None]:
        scene = _Scene()
        for number in (14, 17, 22, 25):
            await scene.fill(number)
        job = _staged(scene)
        scene.replace_from(deepest)
        _, again = await scene.settler().settle(job)
        assert again is not None
        assert [fact.first for fact in scene.committed] == [again.first]
        return again.first, [ground.block.number for ground in again.grounds], again.filled_from

    assert play(story()) == (first, grounds, 2 if grounds else None)


def test_a_record_that_was_cut_below_the_fork_is_filled_again_with_what_is_above_the_settled_block() -> None:
    async def story() -> int:
        scene = _Scene()
        await scene.fill(14)
        job = _staged(scene)
        scene.replace_from(26)
        _, again = await scene.settler().settle(job)
        assert again is not None
        return again.first

    assert play(story()) == 16


def test_one_in_the_place_of_another_goes_down_with_it_stage_by_stage() -> None:
    """Not to where the first order began, which may be years ago."""

    async def story() -> list[int]:
        scene = _Scene()
        for number in (14, 17, 22, 25):
            await scene.fill(number)
        job = _staged(scene)
        scene.replace_from(26)
        _, again = await scene.settler().settle(job)
        assert again is not None
        filled = replace(again, state="settling", told=26, settled=15, base=scene.block(15), highest=scene.block(26))
        scene.replace_from(20)
        _, below = await scene.settler().settle(filled)
        assert below is not None
        assert [fact.first for fact in scene.committed] == [again.first, below.first]
        scene.replace_from(14)
        return [again.first, below.first, (await scene.branches.grounded(below)).first]

    assert play(story()) == [23, 19, 2]


def test_what_a_job_in_the_place_of_another_fills_goes_on_from_the_logs_that_are_accounted_for() -> None:
    block = BlockRef(15, NOBODY, 0)
    job = Job("job", CHAIN_ID, 16, None, (HOLDING,), filled_from=2, grounds=(Stage(block, carried=frozenset()),))
    assert job.is_accounted_for(HOLDING, 9)
    assert not job.is_accounted_for(HOLDING, 1), "nobody looked right above that record"
    assert not replace(job, first=15).is_accounted_for(HOLDING, 9), "what the stage says is about a block above"
    for carried in (None, frozenset({HOLDING})):
        assert not replace(job, grounds=(Stage(block, carried=carried),)).is_accounted_for(HOLDING, 9)


def test_a_job_with_too_many_records_within_reach_keeps_no_stages() -> None:
    scene = _Scene()
    job = _staged(scene)
    many = [Holding(NATIVE, Address(f"0x{number:040x}")) for number in range(MOST_RESTS + 1)]
    assert job.with_rows((holding, 20) for holding in many[: MOST_RESTS - 3]).stages
    assert not job.with_rows((holding, 20) for holding in many).stages


def test_a_reorg_takes_back_the_part_of_history_that_it_may_reach() -> None:
    assert _redone_from(13) == 16


def test_a_reorg_deeper_than_the_window_takes_back_all_that_the_job_filled() -> None:
    assert _redone_from(18) == 2


def test_what_a_deeper_cut_removed_below_the_settled_block_is_filled_again() -> None:
    """Of blocks that are canonical still: the cut is at the newest record that could be compared."""
    assert _redone_from(13, knows_base=True, rests=15) == 2


def test_a_job_remembers_the_newest_of_its_records_that_no_reorg_should_reach() -> None:
    scene = _Scene()
    rows = [HistoryRow(scene.block(number), 7, None, (), "latest", derived=False) for number in (9, 14, 16)]
    facts = [
        HistoryFilled(CHAIN_ID, HOLDING, row.block.number, row.block.number, (row,), TokenInfo(), "job") for row in rows
    ]
    job = _with(Job("job", CHAIN_ID, 2, None, (HOLDING,), settled=15), facts[:1])
    assert _with(job, facts[1:]).rests == {HOLDING: 14}


def test_what_is_in_the_place_of_the_record_above_the_settled_block_is_joined_again() -> None:
    assert _redone_from(13, anchor=17) == 16
    assert _redone_from(13, anchor=16) == 15


def test_a_settled_block_without_records_tells_of_a_deeper_reorg_as_well() -> None:
    assert _redone_from(16, knows_base=False) == 16
    assert _redone_from(16, knows_base=True) == 2


def test_what_was_settled_when_it_was_ordered_and_was_of_another_branch_is_filled_again_from_its_beginning() -> None:
    """Whoever told its highest block stood still on a branch that was left long before."""

    async def story() -> int | None:
        scene = _Scene()
        scene.watch = Watch(solvers=frozenset(WALLETS))
        await scene.record(9, 12)
        job = await scene.preparer().prepare(Job("job", CHAIN_ID, 2, None, (HOLDING,)))
        assert job.settled > 9
        scene.world.reorg(25)
        await scene.fill(10)  # by another job, of the branch that stays
        _, again = await scene.settler().settle(replace(job, state="settling", told=9))
        return None if again is None else again.first

    assert play(story()) == 2


def test_an_order_that_ended_far_below_what_a_reorg_reached_is_over() -> None:
    """Else one in its place would go on from it, as if it had filled everything up to there."""

    async def story() -> None:
        scene = _Scene()
        await scene.fill(4)
        job = Job("job", CHAIN_ID, 2, 5, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="settling")
        settling = replace(job, settled=15, highest=scene.block(20), told=20)
        scene.world.reorg(13)
        assert await scene.settler().settle(settling) == (replace(settling, state="done"), None)
        assert not scene.committed

    play(story())


def _ordered_above_the_newest_record(due: frozenset[Holding]) -> tuple[Job, float, dict[Holding, int]]:
    """Filled from block 12 on, while the newest record is of block 9; the job, its seconds, what is covered."""

    async def story() -> tuple[Job, float, dict[Holding, int]]:
        scene, loop = _Scene(), asyncio.get_running_loop()
        await scene.record(9, 12)
        scene.due, began = due, loop.time()
        done = await scene.filler().fill(Job("job", CHAIN_ID, 12, None, (HOLDING,)), scene.keep)
        return done, loop.time() - began, dict(await scene.store.coverage.covered(CHAIN_ID))

    return play(story())


def test_where_nothing_has_changed_since_the_first_block_there_is_nothing_to_fill() -> None:
    done, seconds, covered = _ordered_above_the_newest_record(frozenset())
    assert (done.state, done.reasons, covered) == ("done", {}, {HOLDING: 12})
    assert seconds < 1


def test_a_balance_that_is_to_be_read_any_moment_is_waited_for() -> None:
    done, seconds, covered = _ordered_above_the_newest_record(frozenset([HOLDING]))
    assert (list(done.reasons), covered) == ([HOLDING], {})
    assert seconds > 30


def test_a_balance_that_nobody_watches_any_more_is_not_waited_for() -> None:
    async def story() -> tuple[Job, float]:
        scene, loop = _Scene(), asyncio.get_running_loop()
        scene.watch, began = Watch(), loop.time()
        done = await scene.filler().fill(Job("job", CHAIN_ID, 12, None, (HOLDING,)), scene.keep)
        return done, loop.time() - began

    done, seconds = play(story())
    assert list(done.reasons) == [HOLDING]
    assert seconds < 1


def test_what_nobody_watches_any_more_is_not_taken_to_have_stayed_as_it_was() -> None:
    """A reorg took back all that was heard of it, and left what it was at the common ancestor."""

    async def story() -> tuple[Job, dict[Holding, int]]:
        scene = _Scene()
        await scene.record(0, 0, "resync")
        scene.watch = Watch()
        done = await scene.filler().fill(Job("job", CHAIN_ID, 0, None, (HOLDING,)), scene.keep)
        return done, dict(await scene.store.coverage.covered(CHAIN_ID))

    done, covered = play(story())
    assert (done.state, list(done.reasons), covered) == ("done", [HOLDING], {})
    assert "nobody watches it" in done.reasons[HOLDING]


class _Book:
    """Jobs; refuses as many saves as it is told."""

    def __init__(self) -> None:
        self.saved: dict[str, Job] = {}
        self.forgotten: list[str] = []
        self.refusals = 0
        self.filled_from: dict[Holding, int] = {}
        self.unwatched: dict[Holding, Hole] = {}

    async def save(self, job: Job) -> None:
        await asyncio.sleep(0.01)
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable("no primary")
        self.saved[job.id] = job

    async def jobs(self, _chain: int) -> list[Job]:
        return list(self.saved.values())

    async def offered(self, _chain: int, known: Collection[str]) -> list[Job]:
        return [job for job in self.saved.values() if job.after is not None and job.id not in known]

    async def covered(self, _chain: int) -> dict[Holding, int]:
        return self.filled_from

    async def holes(self, _chain: int) -> dict[Holding, Hole]:
        return self.unwatched

    async def forget(self, job: str) -> None:
        self.forgotten.append(job)

    async def drop(self, job: str) -> None:
        del self.saved[job]

    async def last_seq(self, _stream: str) -> int:
        return 0


class _Filler:
    """Fills at once, while the store goes away."""

    def __init__(self, book: _Book) -> None:
        self._book = book
        self.filled: list[str] = []
        self.settled: list[str] = []

    async def fill(self, job: Job, _keep: object) -> Job:
        self.filled.append(job.id)
        self._book.refusals = 3
        return replace(job, state="done", reasons={HOLDING: "why"})

    async def left(self, job: Job) -> Job:
        return job

    async def settle(self, job: Job) -> tuple[Job, Job | None]:
        """Takes a while, so that an order comes in meanwhile."""
        await asyncio.sleep(1)
        self.settled.append(job.id)
        return replace(job, state="done"), None


async def _projected(_stream: str, _seq: int) -> None:
    await asyncio.sleep(3)


@asynccontextmanager
async def _actor(
    book: _Book,
    filler: Any,
    projected: Callable[[str, int], Awaitable[None]] = _projected,
    start_block: int | None = None,
) -> AsyncIterator[ActorRef[BackfillActor]]:
    ledger: Any = SimpleNamespace(seq=0, writer=SimpleNamespace(has_written=False))
    ref = BackfillActor.start(
        name="sim",
        chain_id=CHAIN_ID,
        stream=f"history:{CHAIN_ID}",
        start_block=start_block,
        watch=Watch(solvers=frozenset(WALLETS)),
        filler=filler,
        settler=filler,
        ledger=ledger,
        log=book,
        book=cast("Any", book),
        coverage=cast("Any", book),
        resumed=lambda _resumed: None,
        projected=projected,
        newest=lambda: PassedOver(f"chain:{CHAIN_ID}", 0),
        show=lambda _job: None,
        line=Line(stream="history:7", name="sim", seq=lambda: 0, waiting=lambda: 0, show=lambda _status: None),
        clock=asyncio.get_running_loop().time,
    )
    ref.tell(Begin())
    try:
        yield ref
    finally:
        await end(ref, 5)


def test_a_hole_is_filled_from_where_history_was_filled_before_even_below_the_first_block() -> None:
    """From the first block on it would begin with a record that knows nothing of the ones below."""

    async def story() -> list[tuple[int, int | None, tuple[Holding, ...]]]:
        book = _Book()
        book.filled_from = dict.fromkeys((Holding(NATIVE, wallet) for wallet in WALLETS), 3)
        book.unwatched = {HOLDING: Hole(0, 20)}
        async with _actor(book, _Filler(book), start_block=12):
            await asyncio.sleep(10)
        return [(job.first, job.last, job.wanted) for job in book.saved.values()]

    assert play(story()) == [(3, 19, (HOLDING,))]


def test_what_was_passed_over_is_taken_up_once_it_is_projected() -> None:
    async def story() -> None:
        book = _Book()
        filler = _Filler(book)
        async with _actor(book, filler) as ref:
            await asyncio.sleep(1)
            ref.tell(PassedOver(f"chain:{CHAIN_ID}", 7))
            await asyncio.sleep(1)
            order = Job("gap", CHAIN_ID, 6, 8, (HOLDING,), after=BlockRef(5, BlockHash("0x5"), 0))
            book.saved |= {each.id: each for each in (order, replace(order, id="another's", after=None))}
            await asyncio.sleep(3)
            assert filler.filled == ["gap"]
            ref.tell(PassedOver(f"chain:{CHAIN_ID}", 8))
            await asyncio.sleep(5)
        assert filler.filled == ["gap"]

    play(story())


def test_an_order_that_was_projected_between_two_lives_is_taken_up_by_the_next() -> None:
    """Nobody was there to be told."""

    async def story() -> None:
        book = _Book()
        filler = _Filler(book)
        async with _actor(book, filler):
            await asyncio.sleep(1)  # it has loaded what is stored, and waits for what is still to be projected
            book.saved["gap"] = Job("gap", CHAIN_ID, 6, 8, (HOLDING,), after=BlockRef(5, BlockHash("0x5"), 0))
            await asyncio.sleep(5)
        assert filler.filled == ["gap"]

    play(story())


def test_what_is_never_projected_holds_up_nothing_else() -> None:
    async def story() -> None:
        book = _Book()
        filler = _Filler(book)

        async def never(_stream: str, _seq: int) -> None:
            await asyncio.Event().wait()

        async with _actor(book, filler, projected=never) as ref:
            (job,) = await ref.ask(Fill((HOLDING,), 0), block=False)
            await asyncio.sleep(60)
        assert filler.filled == [job.id]

    play(story())


def test_of_all_that_was_passed_over_again_and_again_the_newest_jobs_are_kept() -> None:
    async def story() -> None:
        book = _Book()
        filler = _Filler(book)
        async with _actor(book, filler) as ref:
            await asyncio.sleep(1)
            orders = [
                Job(f"gap{n:03}", CHAIN_ID, 6, 8, (HOLDING,), created=n, after=BlockRef(5, BlockHash("0x5"), 0))
                for n in range(KEPT_JOBS + 20)
            ]
            book.saved |= {each.id: each for each in orders}
            ref.tell(PassedOver(f"chain:{CHAIN_ID}", 7))
            await asyncio.sleep(600)
        assert filler.filled == [each.id for each in orders]
        assert sorted(book.saved) == [each.id for each in orders[-KEPT_JOBS:]]

    play(story())


def test_a_job_that_ends_while_the_store_is_away_is_stored_as_it_ended() -> None:
    async def story() -> None:
        book = _Book()
        filler = _Filler(book)
        async with _actor(book, filler) as ref:
            (job,) = await ref.ask(Fill((HOLDING,), 0), block=False)
            await asyncio.sleep(5)
        assert book.saved[job.id].state == "done"
        assert book.saved[job.id].reasons == {HOLDING: "why"}
        assert filler.filled == [job.id]

    play(story())


def test_an_order_that_the_store_did_not_confirm_is_worked_off_all_the_same_and_once() -> None:
    async def story() -> None:
        book = _Book()
        filler = _Filler(book)
        async with _actor(book, filler) as ref:
            book.refusals = 1
            with pytest.raises(StoreUnavailable):
                await ref.ask(Fill((HOLDING,), 0), block=False)
            await asyncio.sleep(5)
        (job,) = book.saved.values()
        assert (job.state, filler.filled) == ("done", [job.id])

    play(story())


@pytest.mark.parametrize("bound", ["MOST_JOBS", "MOST_BALANCES"])
def test_orders_past_a_bound_are_refused_until_others_are_done_and_nothing_that_was_accepted_is_lost(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(jobs, bound, 3)

    async def story() -> None:
        book = _Book()
        filler = _Filler(book)
        async with _actor(book, filler) as ref:
            made = [await ref.ask(Fill((HOLDING,), first), block=False) for first in range(3)]
            with pytest.raises(Impossible, match=r"3 jobs of chain .* are not done yet"):
                await ref.ask(Fill((HOLDING,), 3), block=False)
            assert await ref.ask(Fill((HOLDING,), 2), block=False) == made[2]
            await asyncio.sleep(60)
            made.append(await ref.ask(Fill((HOLDING,), 3), block=False))
            await asyncio.sleep(60)
        assert filler.filled == [job.id for (job,) in made]

    play(story())


def test_an_order_that_comes_in_while_an_older_job_is_compared_with_the_chain_is_worked_off() -> None:
    async def story() -> None:
        book = _Book()
        book.saved["old"] = Job("old", CHAIN_ID, 0, None, (HOLDING,), state="settling")
        filler = _Filler(book)
        async with _actor(book, filler) as ref:
            await asyncio.sleep(0.5)
            (job,) = await ref.ask(Fill((HOLDING,), 0), block=False)
            await asyncio.sleep(60)
        assert (filler.settled, filler.filled) == (["old"], [job.id])

    play(story())


def test_a_job_that_waits_for_a_reorg_to_be_taken_back_holds_it_up_no_longer() -> None:
    class Standing(_Filler):
        """Stands on a record that the settling job has to take back first."""

        async def fill(self, job: Job, keep: object) -> Job:
            if not self.settled:
                raise BadAnswer("block 41 is being replaced")
            return await super().fill(job, keep)

    async def story() -> None:
        book = _Book()
        filler = Standing(book)
        for name, state in (("first", "settling"), ("second", "queued")):
            job = Job(name, CHAIN_ID, 3, None, (HOLDING,))
            book.saved[name] = replace(job, state=state)  # type: ignore[arg-type] # one of the states
        async with _actor(book, filler):
            await asyncio.sleep(20)
            assert filler.settled == ["first"]
            assert filler.filled == ["second"]

    play(story())


def test_what_a_reorg_took_back_is_filled_anew_whatever_else_was_ordered_before() -> None:
    """The other order may have found a record in the midst of what was taken back, and end there."""

    class TakingBack(_Filler):
        async def fill(self, job: Job, keep: object) -> Job:
            if not self.settled:
                raise BadAnswer("block 41 is being replaced")
            return await super().fill(job, keep)

        async def settle(self, job: Job) -> tuple[Job, Job | None]:
            self.settled.append(job.id)
            return replace(job, state="done"), job

    async def story() -> None:
        book = _Book()
        filler = TakingBack(book)
        anchors = {HOLDING: Anchor(20, 7, True)}
        other = Job("other", CHAIN_ID, 3, None, (HOLDING,), (HOLDING,))
        old = replace(other, id="old", state="settling", anchors=anchors)
        book.saved = {"old": old, "other": other}
        async with _actor(book, filler):
            await asyncio.sleep(40)
        (again,) = set(book.saved) - {"old", "other"}
        assert book.saved[again].anchors == anchors
        assert filler.filled == [again, "other"]

    play(story())


def test_what_was_taken_back_is_filled_before_what_would_go_on_from_it_the_lowest_part_first() -> None:
    async def story() -> list[str]:
        book = _Book()
        order = Job("order", CHAIN_ID, 20, None, (HOLDING,))
        high = replace(order, id="high", first=9, created=2, in_place_of="one")
        low = replace(order, id="low", first=3, created=3, in_place_of="two")
        book.saved = {job.id: job for job in (order, high, low)}
        filler = _Filler(book)
        async with _actor(book, filler):
            await asyncio.sleep(20)
        return filler.filled

    assert play(story()) == ["low", "high", "order"]


def test_nothing_is_filled_before_all_is_taken_back_that_a_reorg_left() -> None:
    """An earlier life may have been killed when it had just taken it back, and ordered nothing in its place."""

    class TakingBack(_Filler):
        async def settle(self, job: Job) -> tuple[Job, Job | None]:
            return replace(job, state="done"), job

    async def story() -> list[str]:
        book = _Book()
        order = Job("order", CHAIN_ID, 20, None, (HOLDING,))
        book.saved = {"order": order, "old": replace(order, id="old", first=3, state="settling", created=1)}
        filler = TakingBack(book)
        async with _actor(book, filler):
            await asyncio.sleep(20)
        (again,) = [job.id for job in book.saved.values() if job.in_place_of == "old"]
        return ["again" if each == again else each for each in filler.filled]

    assert play(story()) == ["again", "order"]


def test_what_was_told_in_part_is_taken_back_before_what_it_overlaps_is_filled_again() -> None:
    """Later it would take the new records with it, and a wider order may prove less than a narrower one."""

    class Leaving(_Filler):
        async def left(self, job: Job) -> Job:
            return replace(job, state="settling")

        async def settle(self, job: Job) -> tuple[Job, Job | None]:
            self.settled.append(job.id)
            return replace(job, state="done"), job

    async def story() -> list[str]:
        book = _Book()
        again = Job("again", CHAIN_ID, 9, None, (HOLDING,), in_place_of="old")
        part = Job("part", CHAIN_ID, 3, None, (HOLDING,), state="telling")
        book.saved = {"again": again, "part": part}
        filler = Leaving(book)
        async with _actor(book, filler):
            await asyncio.sleep(20)
        assert filler.settled == ["part"]
        assert book.forgotten.count("part") == 1
        (new,) = [job.id for job in book.saved.values() if job.in_place_of == "part"]
        return ["new" if each == new else each for each in filler.filled]

    assert play(story()) == ["new", "again"]


def test_what_a_reorg_took_back_is_filled_anew_up_to_the_records_whatever_its_end_was() -> None:
    """Those that it reached up to may be gone as well."""

    class TakingBack(_Filler):
        async def settle(self, job: Job) -> tuple[Job, Job | None]:
            return replace(job, state="done"), replace(job, grounds=(ground,))

    ground = Stage(BlockRef(2, NOBODY, 0))

    async def story() -> None:
        book = _Book()
        old = Job("old", CHAIN_ID, 3, 15, (HOLDING,), (HOLDING,), state="settling")
        book.saved = {"old": old}
        async with _actor(book, TakingBack(book)):
            await asyncio.sleep(40)
        (again,) = set(book.saved) - {"old"}
        assert (book.saved[again].first, book.saved[again].last) == (3, None)
        assert book.saved[again].grounds == (ground,)

    play(story())


def test_what_was_collected_of_two_branches_is_not_told() -> None:
    """One endpoint had the new highest block, another one answered for the blocks below as before."""

    async def story() -> tuple[str, list[Any], int]:
        scene = _Scene()
        orphaned = scene.block(18)
        scene.world.reorg(14)
        await scene.store.backfills.put("job", Chunk(2, 20, natives=(Native(orphaned, HOLDING, 7),)))
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="collecting")
        collected = replace(job, cursor=1, top=20, highest=scene.block(20), settled=15)
        narrator: Any = SimpleNamespace(walk=_walked)
        filler = scene.filler()
        filler._narrator = narrator
        filled = await filler.fill(collected, scene.keep)
        told = list(scene.committed)
        _, again = await scene.settler().settle(filled)
        assert again is not None
        return filled.state, told, again.first

    assert play(story()) == ("settling", [], 2)


async def _walked(_job: Job, _crossed: Crossed) -> dict[Holding, Walk]:
    return {}


def test_what_was_collected_of_a_branch_that_is_gone_is_not_told() -> None:
    async def story() -> None:
        scene = _Scene()
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="collecting")
        collected = replace(job, cursor=1, highest=scene.block(20), settled=15)
        scene.world.reorg(18)
        filled = await scene.filler().fill(collected, scene.keep)
        assert (filled.state, filled.settled) == ("settling", 1)
        _, again = await scene.settler().settle(filled)
        assert again is not None
        assert (again.first, again.anchors) == (2, {})
        assert scene.committed == []  # nor taken back: what is there by now was filled by another order

    play(story())


@pytest.mark.parametrize("has_told", [True, False])
def test_what_was_told_in_part_when_its_branch_was_left_is_taken_back_and_no_more_is_told(*, has_told: bool) -> None:
    """Its own records would be in its way for ever: history is not walked through what is orphaned."""

    async def story() -> None:
        scene = _Scene()
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="telling")
        if has_told:
            row = HistoryRow(scene.block(14), 7, None, (), "latest", derived=False)
            fact = HistoryFilled(CHAIN_ID, HOLDING, 2, 14, (row,), TokenInfo(), "job")
            await scene.store.commits.append(Commit("part", f"history:{CHAIN_ID}", 1, TIME, (fact,)))
        telling = replace(job, highest=scene.block(20), top=20, settled=12)
        scene.world.reorg(18)
        filler = scene.filler()
        filler._narrator = scene.narrator()
        left = await filler.fill(telling, scene.keep)
        assert await filler.left(telling) == left
        assert (left.state, left.is_told, scene.committed) == ("settling", False, [])
        scene.world.reorg(1)
        _, again = await scene.settler().settle(left)
        assert again is not None
        assert (again.first, again.anchors) == (2, job.anchors if has_told else {})
        assert [(fact.first, fact.last, fact.void) for fact in scene.committed] == ([(2, 19, True)] if has_told else [])

    play(story())


def test_nothing_is_told_that_was_not_collected_because_two_nodes_disagree_about_the_branch() -> None:
    """The one says that the highest block is gone, so that nothing is collected; the next one still has it."""

    async def story() -> str:
        scene = _Scene()
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="collecting")
        ordered = replace(job, cursor=20, highest=scene.block(20), settled=15)
        filler = scene.filler()
        answers = [True, False, False]

        async def is_gone(job: Job) -> bool:  # noqa: ARG001 - the script alone decides
            return answers.pop(0)

        filler._branches.is_gone = is_gone  # type: ignore[method-assign] # two nodes
        return (await filler.fill(ordered, scene.keep)).state

    assert play(story()) == "settling"


@pytest.mark.parametrize(("told_up_to", "first"), [(9, 15), (12, 2)])
def test_an_order_in_the_place_of_another_begins_where_that_did_if_a_cut_took_what_it_had_told(
    told_up_to: int, first: int
) -> None:
    async def story() -> tuple[int, int | None]:
        scene = _Scene()
        await scene.fill(9)
        await scene.record(29, 30)
        job = Job("job", CHAIN_ID, 15, None, (HOLDING,), filled_from=2)
        job = replace(job, grounds=(Stage(scene.block(14), {HOLDING: told_up_to}),))
        grounded = await scene.branches.grounded(job)
        return grounded.first, grounded.filled_from

    assert play(story()) == (first, 2 if first == 15 else None)


@pytest.mark.parametrize(("depth", "first"), [(16, 16), (17, 2)])
def test_an_order_in_the_place_of_another_begins_where_that_did_if_a_deeper_reorg_reached_below_it_since(
    depth: int, first: int
) -> None:
    """Though no record was taken back there: the new branch may have some where the old one had none."""

    async def story() -> tuple[int, bool]:
        scene = _Scene()
        await scene.fill(9)
        below = scene.block(15)
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="settling")
        settling = replace(job, told=20, settled=15, base=below, highest=scene.block(20), rests={HOLDING: 9})
        scene.world.reorg(12)
        _, again = await scene.settler().settle(settling)
        assert again is not None
        assert again.first == 16
        scene.world.reorg(depth)
        grounded = await scene.branches.grounded(replace(again, state="queued"))
        return grounded.first, [ground.block for ground in grounded.grounds] == [below]

    assert play(story()) == (first, first == 16)


def _beside_one_that_stands_still(scene: _Scene, depth: int) -> None:
    """After a reorg of which one node does not hear: it answers whatever it is asked for, if it has what is beside."""
    left = list(scene.world.canonical)
    scene.world.reorg(depth)
    follows = scene.node

    class Nodes(SimNode):
        async def headers(self, first: int, last: int, beside: BlockRef | None = None) -> tuple[Head, ...]:
            if beside is None or left[min(beside.number, len(left) - 1)].head.ref == beside:
                return tuple(block.head for block in left[first : last + 1])
            return await follows.headers(first, last, beside)

    scene.node = Nodes(scene.world, Random(5), lambda: NONE)  # noqa: S311 - as above


def test_history_is_not_walked_back_from_a_record_of_a_branch_on_which_one_node_stands_still() -> None:
    """It lies so deep by now that nothing would be compared any more."""

    async def story() -> None:
        scene = _Scene()
        await scene.record(15, 30)
        _beside_one_that_stands_still(scene, 20)
        with pytest.raises(BadAnswer, match="block 15 is being replaced"):
            await scene.preparer().prepare(Job("job", CHAIN_ID, 2, None, (HOLDING,)))

    play(story())


def test_history_is_compared_with_what_a_node_says_that_does_not_stand_still() -> None:
    async def story() -> tuple[str, int | None]:
        scene = _Scene()
        job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(20, 7, True)}, state="settling")
        settling = replace(job, told=20, settled=15, base=scene.block(15), highest=scene.block(20))
        _beside_one_that_stands_still(scene, 20)
        over = await scene.filler()._over(replace(settling, settled=20))
        _, again = await scene.settler().settle(settling)
        return over.state, None if again is None else again.first

    assert play(story()) == ("settling", 2)


def test_an_order_in_the_place_of_another_waits_where_what_it_goes_on_from_is_replaced_while_it_begins() -> None:
    async def story() -> None:
        scene = _Scene()
        preparer, depths = scene.preparer(), scene.branches.depths

        async def reorganised() -> Depths:
            """Before the record is found that is walked back from, and after what is below was compared."""
            scene.world.reorg(20)
            await scene.record(25, 30)
            return await depths()

        preparer._branches.depths = reorganised  # type: ignore[method-assign] # between two questions
        job = Job("job", CHAIN_ID, 16, None, (HOLDING,), filled_from=2, grounds=(Stage(scene.block(15)),))
        with pytest.raises(BadAnswer, match="block 15 is being replaced"):
            await preparer.prepare(job)

    play(story())
