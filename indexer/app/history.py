"""Builds the sibling of a chain that fills its history, and knows all jobs there are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from pykka import ActorRef

from actors.backfill import BackfillActor
from actors.base import Report
from actors.collecting import Collector
from actors.filling import Filler
from actors.ledger import Ledger
from actors.messages import Resumed
from actors.positions import Positions
from actors.telling import Narrator
from actors.watching import Watching
from indexer.config import ChainSettings
from indexer.domain.commits import Commit
from indexer.domain.jobs import Job
from indexer.domain.streams import history_stream

if TYPE_CHECKING:
    from indexer.clients.evm import EvmNode  # importing web3 takes a second and 30 MB
    from repositories.store import Store

SHOWN = 100


class BackfillBoard:
    """The newest word of every job on itself."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def show(self, job: Job) -> None:
        self._jobs[job.id] = job
        over = [each for each in self.jobs() if each.is_over]
        for old in over[SHOWN:]:
            del self._jobs[old.id]

    def forget(self, chain_id: int) -> None:
        self._jobs = {key: job for key, job in self._jobs.items() if job.chain_id != chain_id}

    def jobs(self) -> Sequence[Job]:
        """Newest first."""
        return sorted(self._jobs.values(), key=lambda job: (job.created, job.id), reverse=True)


def past(
    *,
    settings: ChainSettings,
    node: EvmNode,
    store: Store,
    watching: Watching,
    positions: Positions,
    publish: Callable[[Commit], None],
    resumed: Callable[[Resumed], None],
    show: Callable[[Job], None],
    breathe: Callable[[], Awaitable[None]],
    report: Report,
) -> ActorRef[Any]:
    """One life of the actor that fills history."""
    chain_id, stream = settings.chain_id, history_stream(settings.chain_id)
    ledger = Ledger(
        stream=stream,
        chain_id=chain_id,
        window=0,
        commits=store.commits,
        checkpoints=store.checkpoints,
        books=store.balances,
        publish=publish,
    )
    narrator = Narrator(
        stream=stream,
        ledger=ledger,
        log=store.commits,
        chunks=store.backfills,
        records=store.balances,
        projected=positions.reached,
        breathe=breathe,
        saw=show,
    )
    filler = Filler(
        name=settings.name,
        stream=stream,
        node=node,
        collector=Collector(node),
        narrator=narrator,
        ledger=ledger,
        book=store.backfills,
        records=store.balances,
        tokens=watching,
        window=settings.reorg_window_blocks,
        projected=positions.reached,
        breathe=breathe,
        saw=show,
        caught_up=positions.caught_up,
    )
    return BackfillActor.start(
        name=settings.name,
        chain_id=chain_id,
        stream=stream,
        start_block=None if settings.start_block == "latest" else settings.start_block,
        watch=watching.watch(chain_id),
        filler=filler,
        ledger=ledger,
        log=store.commits,
        book=store.backfills,
        resumed=resumed,
        show=show,
        report=report,
    )
