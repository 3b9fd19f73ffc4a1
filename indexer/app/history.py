"""Builds the sibling of a chain that fills its history, and knows all jobs there are."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pykka import ActorRef

from actors.base import Report
from actors.chains.books.ledger import Ledger
from actors.finishing import Finisher
from actors.history.anchoring import Anchorage
from actors.history.backfill import BackfillActor
from actors.history.branches import Branches
from actors.history.collecting import Collector
from actors.history.doubting import SecondLook
from actors.history.filling import Filler
from actors.history.preparing import Preparer
from actors.history.settling import Settler
from actors.history.telling import Narrator
from actors.messages import PassedOver, Resumed
from actors.positions import Positions
from actors.statusboard import Line
from actors.watching import Watching
from indexer.config import ChainSettings
from indexer.domain.balances import Watch
from indexer.domain.health.status import StreamStatus
from indexer.domain.history.jobs import Job
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.streams import chain_stream, history_stream

if TYPE_CHECKING:
    from indexer.clients.evm import EvmNode  # importing web3 takes a second and 30 MB
    from repositories.store import Store

SHOWN = 100

Progressed = Callable[[int, int, int], None]
"""Takes a chain id, so many blocks looked at, and so many records told."""


class BackfillBoard:
    """The newest word of every job on itself."""

    def __init__(self, progressed: Progressed = lambda _chain_id, _blocks, _records: None) -> None:
        self._jobs: dict[str, Job] = {}
        self._progressed = progressed

    def show(self, job: Job) -> None:
        before, self._jobs[job.id] = self._jobs.get(job.id, job), job
        # What an earlier life did is not counted again.
        blocks = before.remaining - job.remaining if before.remaining else 0
        self._progressed(job.chain_id, max(0, blocks), max(0, job.records - before.records))
        over = [each for each in self.jobs() if each.is_over]
        for old in over[SHOWN:]:
            del self._jobs[old.id]

    def forget(self, chain_id: int) -> None:
        self._jobs = {key: job for key, job in self._jobs.items() if job.chain_id != chain_id}

    def unfinished(self, chain_id: int) -> Sequence[Job]:
        return [job for job in self._jobs.values() if job.chain_id == chain_id and job.is_filling]

    def jobs(self) -> Sequence[Job]:
        """Newest first."""
        return sorted(self._jobs.values(), key=lambda job: (job.created, job.id), reverse=True)


def start_of(settings: ChainSettings) -> int | None:
    """The block from which history is filled by itself, if it is."""
    return None if settings.start_block == "latest" else settings.start_block


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What fills the history of one chain; every life of the actor is made of the same."""

    settings: ChainSettings
    node: EvmNode
    store: Store
    finisher: Finisher
    watching: Watching
    positions: Positions
    publish: Callable[[Commit], None]
    resumed: Callable[[Resumed], None]
    show: Callable[[Job], None]
    show_status: Callable[[StreamStatus], None]
    waiting: Callable[[], int]
    breathe: Callable[[], Awaitable[None]]
    clock: Callable[[], float] = time.time

    def start(self, report: Report, restarts: int) -> ActorRef[Any]:
        settings, ledger = self.settings, self._ledger()
        line = Line(
            stream=self._stream,
            name=settings.name,
            seq=lambda: ledger.seq,
            waiting=self.waiting,
            show=self.show_status,
            restarts=restarts,
        )

        def saw(job: Job) -> None:
            self.show(job)
            line.again()

        branches = Branches(
            chain_id=settings.chain_id,
            node=self.node,
            chunks=self.store.backfills,
            records=self.store.balances,
            checkpoints=self.store.checkpoints,
            window=settings.reorg_window_blocks,
        )
        return BackfillActor.start(
            name=settings.name,
            chain_id=settings.chain_id,
            stream=self._stream,
            start_block=start_of(settings),
            watch=self.watching.watch(settings.chain_id),
            filler=self._filler(ledger, branches, saw),
            settler=self._settler(ledger, branches),
            ledger=ledger,
            book=self.store.backfills,
            coverage=self.store.coverage,
            resumed=self.resumed,
            projected=self.positions.reached,
            newest=self._newest,
            show=self.show,
            line=line,
            clock=self.clock,
            report=report,
        )

    @property
    def _stream(self) -> str:
        return history_stream(self.settings.chain_id)

    def _newest(self) -> PassedOver:
        """All that the chain's live actor has told by now, as if it were about blocks that it passed over."""
        stream = chain_stream(self.settings.chain_id)
        return PassedOver(stream, self.positions.told().get(stream, 0))

    def _ledger(self) -> Ledger:
        return Ledger(
            stream=self._stream,
            chain_id=self.settings.chain_id,
            window=0,
            commits=self.store.commits,
            checkpoints=self.store.checkpoints,
            books=self.store.balances,
            finisher=self.finisher,
            publish=self.publish,
        )

    def _filler(self, ledger: Ledger, branches: Branches, saw: Callable[[Job], None]) -> Filler:
        narrator = Narrator(
            stream=self._stream,
            ledger=ledger,
            log=self.store.commits,
            chunks=self.store.backfills,
            records=self.store.balances,
            projected=self.positions.reached,
            breathe=self.breathe,
            saw=saw,
        )
        collector = Collector(self.node)
        second = SecondLook(
            name=self.settings.name,
            node=self.node,
            collector=collector,
            book=self.store.backfills,
            breathe=self.breathe,
        )
        return Filler(
            name=self.settings.name,
            node=self.node,
            preparer=self._preparer(ledger, branches),
            collector=collector,
            second=second,
            narrator=narrator,
            ledger=ledger,
            branches=branches,
            book=self.store.backfills,
            coverage=self.store.coverage,
            records=self.store.balances,
            tokens=self.watching,
            breathe=self.breathe,
            saw=saw,
        )

    def _preparer(self, ledger: Ledger, branches: Branches) -> Preparer:
        anchorage = Anchorage(
            records=self.store.balances,
            caught_up=self.positions.caught_up,
            due=lambda: self.watching.due(self.settings.chain_id),
            watched=self._watched,
        )
        return Preparer(
            node=self.node,
            anchorage=anchorage,
            branches=branches,
            ledger=ledger,
            coverage=self.store.coverage,
            watched=self._watched,
        )

    def _watched(self) -> Watch:
        return self.watching.watch(self.settings.chain_id)

    def _settler(self, ledger: Ledger, branches: Branches) -> Settler:
        return Settler(
            name=self.settings.name,
            stream=self._stream,
            node=self.node,
            branches=branches,
            ledger=ledger,
            projected=self.positions.reached,
        )
