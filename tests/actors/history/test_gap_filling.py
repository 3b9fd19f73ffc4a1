"""A gap whose lower blocks nobody can read, and a reorg of what was filled above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import Any

from actors.history.anchoring import Anchorage
from actors.history.branches import Branches
from actors.history.collecting import Collector
from actors.history.doubting import SecondLook
from actors.history.filling import Filler
from actors.history.preparing import Preparer
from actors.history.settling import Settler
from actors.history.telling import Narrator
from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Holding, TokenInfo
from indexer.domain.history.jobs import Job
from indexer.domain.history.orders import orders_of
from indexer.domain.recording.gaps import gap_of
from indexer.domain.recording.records import BalanceRecord, fold
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import Fact, Passed, StreamResync
from tests.actors.fakes import TIME
from tests.sim.clock import play
from tests.sim.faults import NONE
from tests.sim.node import SimNode
from tests.sim.store import Disk, SimStore
from tests.sim.world import CHAIN_ID, OUTSIDE, TOKENS, WALLETS, WATCH, World

HELD = Holding(TOKENS[0], WALLETS[0])


class _Scene:
    """One balance of a world in which the test says what is mined; a ledger that projects what it commits."""

    def __init__(self) -> None:
        random = Random(3)  # noqa: S311 - the same story every time
        self.world = World(random)
        self.store = SimStore(Disk(random, lambda: NONE))
        self.node = SimNode(self.world, random, lambda: NONE)
        self.seq = self._heard = 0

    def idle(self, to: int) -> None:
        while self.world.tip.number < to:
            self.world.mine(busy=0)

    def pay(self, amount: int) -> None:
        self.world.pay(TOKENS[0], OUTSIDE, HELD.solver, amount)

    async def say(self, *facts: Fact) -> None:
        """As the chain's live actor does."""
        commit = Commit(f"live {self._heard}", f"chain:{CHAIN_ID}", self._heard + 1, TIME, facts)
        self._heard = commit.last_seq
        await self.store.books.project(fold([commit]))

    def update(self, previous: int | None, balance: int, cause: Any) -> BalanceUpdated:
        return BalanceUpdated(CHAIN_ID, HELD, previous, balance, self.world.tip.ref, cause, TokenInfo())

    async def commit(self, facts: Sequence[Fact], _head: object) -> None:
        commit = Commit(f"history {self.seq}", f"history:{CHAIN_ID}", self.seq + 1, TIME, tuple(facts))
        self.seq = commit.last_seq
        await self.store.books.project(fold([commit]))

    def filler(self) -> Filler:
        async def nothing(*_: object) -> None: ...

        async def since(*_: object) -> list[Commit]:
            return []

        async def describe(*_: object) -> dict[str, TokenInfo]:
            return {}

        ledger: Any = self
        log: Any = SimpleNamespace(since=since)
        tokens: Any = SimpleNamespace(describe=describe)
        books, records = self.store.backfills, self.store.balances
        narrator = Narrator(
            stream="history",
            ledger=ledger,
            log=log,
            chunks=books,
            records=records,
            projected=nothing,
            breathe=nothing,
            saw=lambda _job: None,
        )
        collector = Collector(self.node)
        preparer = Preparer(
            node=self.node,
            anchorage=Anchorage(records=records, caught_up=nothing, due=frozenset, watched=lambda: WATCH),
            branches=self.branches(),
            ledger=ledger,
            coverage=self.store.coverage,
            watched=lambda: WATCH,
        )
        return Filler(
            name="sim",
            node=self.node,
            preparer=preparer,
            collector=collector,
            second=SecondLook(name="sim", node=self.node, collector=collector, book=books, breathe=nothing),
            narrator=narrator,
            ledger=ledger,
            branches=self.branches(),
            book=books,
            coverage=self.store.coverage,
            records=records,
            tokens=tokens,
            breathe=nothing,
            saw=lambda _job: None,
        )

    def branches(self) -> Branches:
        return Branches(
            chain_id=CHAIN_ID,
            node=self.node,
            chunks=self.store.backfills,
            records=self.store.balances,
            checkpoints=self.store.checkpoints,
            window=8,
        )

    def settler(self) -> Settler:
        async def nothing(*_: object) -> None: ...

        ledger: Any = self
        return Settler(
            name="sim",
            stream="history",
            node=self.node,
            branches=self.branches(),
            ledger=ledger,
            projected=nothing,
        )

    async def rows(self) -> list[BalanceRecord]:
        found = [
            await self.store.balances.at_block(CHAIN_ID, HELD, number) for number in range(self.world.tip.number + 1)
        ]
        return list(dict.fromkeys(row for row in found if row is not None))


async def _keep(_job: Job) -> None: ...


def test_what_nobody_could_read_in_a_gap_is_not_said_to_have_stayed_as_it_was_when_the_rest_is_filled_again() -> None:
    async def story() -> None:
        scene = _Scene()
        world, filler = scene.world, scene.filler()
        scene.idle(8)
        scene.pay(7)
        await scene.say(scene.update(None, 7, "transfer"))
        scene.idle(10)
        after = world.tip.ref
        scene.idle(11)
        scene.pay(3)
        world.put(HELD, 15)  # without a log, where the node has no state
        scene.idle(24)
        scene.pay(4)
        scene.idle(29)
        resync = StreamResync(CHAIN_ID, "pruned", world.tip.ref, passed=Passed(after, (HELD,)))
        await scene.say(resync, scene.update(7, 19, "resync"))
        gap = gap_of(resync, 2, TIME)
        assert gap is not None
        (order,) = orders_of(gap)
        scene.idle(30)
        scene.node.pruned_below = 16
        done = await filler.fill(order, _keep)
        assert HELD in done.reasons

        del world.canonical[28:]
        scene.idle(31)
        cut = StreamResync(CHAIN_ID, "a reorg deeper than the window", world.tip.ref, 28)
        await scene.say(cut, scene.update(19, 19, "resync"))
        settler = scene.settler()
        _, again = await settler.settle(done, await settler.depths())
        assert again is not None
        await filler.fill(replace(again.as_order(in_place_of=done.id), id="again", wanted=(HELD,)), _keep)

        rows = await scene.rows()
        assert [(row.block.number, row.balance) for row in rows[-2:]] == [(25, 19), (31, 19)]
        for older, newer in pairwise(rows):
            for number in range(older.block.number, older.holds_until(newer) + 1):
                assert world.canonical[number].balances[HELD] == older.balance, (older, number)

    play(story())
