"""A node that keeps no logs of old blocks, as with history that expired: what is above them is filled all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest

from actors.history.collecting import Collector
from actors.history.doubting import SecondLook
from actors.history.filling import Filler
from indexer.domain.balances import BalanceUpdated, Watch
from indexer.domain.chain import BlockRef, Holding, TokenInfo
from indexer.domain.history.backfill import Moved
from indexer.domain.history.jobs import Job
from indexer.domain.recording.records import fold
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import HistoryRow
from indexer.errors import NodeUnreachable, StateMissing
from tests.actors.fakes import TIME
from tests.actors.history.scene import Scene
from tests.sim.clock import play
from tests.sim.node import SimNode
from tests.sim.service import Infos
from tests.sim.world import CHAIN_ID, TOKENS, WALLETS

GIVER, TAKER = Holding(TOKENS[0], WALLETS[0]), Holding(TOKENS[0], WALLETS[1])
LOGS_FROM = 12
"""The oldest block of which there are logs."""

GONE = "pruned history unavailable"


class _WithOthers(SimNode):
    """There is another endpoint."""

    @property
    def has_others(self) -> bool:
        return True


class _Told:
    """A world of seventy blocks, in which the taker is paid in some; what a job told of it."""

    def __init__(self, paid_in: Collection[int], logs_from: int = LOGS_FROM, lost: tuple[str, ...] = ()) -> None:
        self.scene = Scene()
        self.scene.watch = Watch(tokens=frozenset(TOKENS), solvers=frozenset(WALLETS))
        self.kept: list[Job] = []
        self.logs_from = logs_from
        self.asked: list[tuple[int, int]] = []
        world = self.scene.world
        del world.canonical[1:]
        for number in range(1, 71):
            if number in paid_in:
                world.pay(TOKENS[0], WALLETS[0], WALLETS[1], 3)
            else:
                world.mine(busy=0)
        node: Any = self.scene.node
        moved = node.moved

        async def expired(first: int, last: int, watch: Watch, beside: BlockRef | None = None) -> tuple[Moved, ...]:
            self.asked.append((first, last))
            if first < self.logs_from:
                raise StateMissing(GONE, lost)
            found: tuple[Moved, ...] = await moved(first, last, watch, beside)
            return found

        node.moved = expired

    async def records(self, holding: Holding, number: int) -> None:
        """As it was read live, for the first time."""
        block = self.scene.world.canonical[number]
        fact = BalanceUpdated(
            CHAIN_ID, holding, None, block.balances.get(holding, 0), block.head.ref, "first", TokenInfo()
        )
        await self.scene.store.books.project(fold([Commit(f"live{number}", "chain", number, TIME, (fact,))]))

    def come(self) -> None:
        """Somebody has all logs."""
        self.logs_from = 0

    async def fill(self, job: Job) -> Job:
        return await self.filler().fill(job, self._keep)

    def filler(self) -> Filler:
        scene, collector = self.scene, Collector(self.scene.node)
        second = SecondLook(
            name="sim", node=scene.node, collector=collector, book=scene.store.backfills, breathe=scene.breathe
        )
        return Filler(
            name="sim",
            node=scene.node,
            preparer=scene.preparer(),
            collector=collector,
            second=second,
            narrator=scene.narrator(),
            ledger=scene.ledger,
            branches=scene.branches,
            book=scene.store.backfills,
            coverage=scene.store.coverage,
            records=scene.store.balances,
            tokens=Infos(),
            breathe=scene.breathe,
            saw=lambda _job: None,
        )

    def rows(self, holding: Holding) -> list[HistoryRow]:
        return [row for fact in self.scene.committed if fact.holding == holding for row in fact.rows]

    async def _keep(self, job: Job) -> None:
        self.kept.append(job)


def _order(*holdings: Holding) -> Job:
    return Job("j", CHAIN_ID, 0, None, holdings, wanted=holdings)


def test_what_is_above_logs_that_are_gone_is_told_and_the_rest_is_said_to_be_unknown() -> None:
    async def run() -> tuple[_Told, Job, Mapping[Holding, int]]:
        told = _Told(paid_in=(5, 20, 40))
        await told.records(TAKER, 70)
        job = await told.fill(_order(TAKER))
        return told, job, await told.scene.store.coverage.covered(CHAIN_ID)

    told, job, covered = play(run())
    assert [row.block.number for row in told.rows(TAKER)] == [12, 20, 40]
    assert [row.change for row in told.rows(TAKER)] == [None, 3, 3]
    assert job.state == "settling"
    assert (job.ordered_from, job.first) == (0, LOGS_FROM)
    assert "up to block 11" in job.reasons[TAKER]
    # With each start, else, all of it would be collected once more.
    assert covered == {TAKER: 0}


def test_the_oldest_block_with_logs_is_found_with_few_questions() -> None:
    async def run() -> _Told:
        told = _Told(paid_in=(), logs_from=37)
        await told.records(TAKER, 70)
        await told.fill(_order(TAKER))
        return told

    asked = play(run()).asked
    assert len(asked) <= 16
    assert min(first for first, _ in asked) == 0


def test_a_balance_that_is_known_only_from_below_there_has_nothing_filled() -> None:
    async def run() -> tuple[_Told, Job]:
        told = _Told(paid_in=(5, 20))
        await told.records(GIVER, 9)
        await told.records(TAKER, 70)
        return told, await told.fill(_order(GIVER, TAKER))

    told, job = play(run())
    assert not told.rows(GIVER)
    assert [row.block.number for row in told.rows(TAKER)] == [12, 20]
    assert set(job.anchors) == {TAKER}
    assert "up to block 11" in job.reasons[GIVER]


def test_where_not_even_the_newest_logs_are_there_the_job_fails_with_the_nodes_words() -> None:
    async def run() -> None:
        told = _Told(paid_in=(20,), logs_from=71)
        await told.records(TAKER, 70)
        with pytest.raises(StateMissing, match=GONE):
            await told.fill(_order(TAKER))

    play(run())


def test_what_goes_on_from_a_record_below_is_not_begun_above_a_gap() -> None:
    async def run() -> None:
        told = _Told(paid_in=(20,))
        await told.records(TAKER, 70)
        after = told.scene.block(3)
        with pytest.raises(StateMissing, match=GONE):
            await told.fill(replace(_order(TAKER), first=4, after=after))

    play(run())


def test_logs_that_an_endpoint_may_have_which_is_lost_for_a_moment_are_waited_for() -> None:
    async def run() -> None:
        told = _Told(paid_in=(20,), lost=("archive",))
        await told.records(TAKER, 70)
        with pytest.raises(NodeUnreachable, match="archive cannot be asked"):
            await told.fill(_order(TAKER))
        assert not told.scene.committed

    play(run())


def test_an_order_that_is_killed_after_it_found_them_gone_goes_on_from_there() -> None:
    async def run() -> tuple[_Told, Job]:
        told = _Told(paid_in=(5, 20, 40))
        await told.records(TAKER, 70)
        await told.fill(_order(TAKER))
        collected = next(job for job in told.kept if job.ordered_from is not None)
        told.scene.committed.clear()
        told.asked.clear()
        return told, await told.fill(replace(collected, state="collecting"))

    told, job = play(run())
    assert [row.block.number for row in told.rows(TAKER)] == [12, 20, 40]
    assert not told.asked
    assert job.ordered_from == 0


def test_logs_are_not_gone_that_an_endpoint_has_a_minute_later() -> None:
    """It lagged, or was set aside."""

    async def run() -> tuple[_Told, Job]:
        told = _Told(paid_in=(5, 20, 40))
        await told.records(TAKER, 70)
        told.scene.node.__class__ = _WithOthers
        asyncio.get_running_loop().call_later(30, told.come)
        return told, await told.fill(_order(TAKER))

    told, job = play(run())
    assert [row.block.number for row in told.rows(TAKER)] == [5, 20, 40]
    assert (job.ordered_from, job.reasons) == (None, {})


def test_logs_that_go_while_they_are_asked_for_once_more_fail_no_job() -> None:
    """Without state the walk leaves a rest, for which logs that were left out are looked for."""

    async def run() -> tuple[list[int], Job]:
        told = _Told(paid_in=(5, 20, 40))
        await told.records(TAKER, 70)
        told.scene.node.__class__ = _WithOthers
        looked_for: list[int] = []

        async def gone(*_: Any) -> Any:
            raise StateMissing(GONE)

        async def expired(first: int, *_: Any) -> Any:
            looked_for.append(first)
            raise StateMissing(GONE)

        told.scene.node.read = gone  # type: ignore[method-assign, assignment] # it keeps no state
        told.scene.node.left_out = expired  # type: ignore[method-assign, assignment] # retention moved on meanwhile
        return looked_for, await told.fill(_order(TAKER))

    looked_for, job = play(run())
    assert looked_for
    assert job.state == "settling"
    assert "its transfers leave 3 before block 12" in job.reasons[TAKER]


def test_an_order_of_which_nothing_is_left_is_over_and_looked_at_no_more() -> None:
    async def run() -> tuple[_Told, Job]:
        told = _Told(paid_in=(5, LOGS_FROM))
        await told.records(TAKER, LOGS_FROM)
        return told, await told.fill(_order(TAKER))

    told, job = play(run())
    assert not told.rows(TAKER)
    assert (job.state, job.anchors) == ("done", {})
