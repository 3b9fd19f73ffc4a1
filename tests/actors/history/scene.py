"""What fills history, without an actor around it, in a world of thirty blocks."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from actors.history.anchoring import Anchorage
from actors.history.branches import Branches
from actors.history.collecting import Collector
from actors.history.filling import Filler
from actors.history.preparing import Preparer
from actors.history.settling import Settler
from actors.history.telling import Narrator
from indexer.domain.balances import BalanceUpdated, Cause, Watch
from indexer.domain.chain import NATIVE, BlockRef, Holding, TokenInfo
from indexer.domain.history.jobs import Anchor, Job, stages_of
from indexer.domain.recording.records import fold
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import HistoryFilled, HistoryRow
from tests.actors.fakes import TIME
from tests.sim.faults import NONE
from tests.sim.node import SimNode
from tests.sim.store import Disk, SimStore
from tests.sim.world import CHAIN_ID, WALLETS, World

HOLDING = Holding(NATIVE, WALLETS[0])


class Scene:
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
            breathe=self.breathe,
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
            breathe=self.breathe,
            saw=lambda _job: None,
        )

    def preparer(self) -> Preparer:
        anchorage = Anchorage(
            records=self.store.balances,
            caught_up=self.breathe,
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

    async def settle(self, job: Job) -> tuple[Job, Job | None]:
        """Look at it once."""
        settler = self.settler()
        return await settler.settle(job, await settler.depths())

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

    async def breathe(self) -> None: ...


def staged(scene: Scene) -> Job:
    """Filled from block 2 on up to 26, of which 15 was taken for settled; told were records of 14, 17, 22 and 25."""
    job = Job("job", CHAIN_ID, 2, None, (HOLDING,), anchors={HOLDING: Anchor(27, 7, True)}, state="settling")
    branch = [scene.block(number) for number in range(16, 27)]
    staged = replace(job, told=26, settled=15, base=scene.block(15), highest=scene.block(26))
    return replace(staged, stages=stages_of(branch, 15)).with_rows((HOLDING, number) for number in (14, 17, 22, 25))
