"""Builds what follows a chain live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pykka import ActorRef

from actors.base import Report
from actors.chains.beside.quiet import Quiet
from actors.chains.books.ledger import Ledger
from actors.chains.chain import ChainActor
from actors.chains.following import Follower
from actors.finishing import Finisher
from actors.messages import BalancesRead, BranchLeft, PassedOver, Resumed
from actors.watching import Watching
from indexer.config import ChainSettings
from indexer.domain.chain import Holding
from indexer.domain.health.status import StreamStatus
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.streams import chain_stream
from indexer.metrics import ChainMetrics, Metrics

if TYPE_CHECKING:
    from indexer.clients.evm import EvmNode, HeadFeed  # importing web3 takes a second and 30 MB
    from repositories.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What follows one chain live; every life of the actor is made of the same. `tell_past` reaches its sibling."""

    settings: ChainSettings
    node: EvmNode
    feed: HeadFeed
    store: Store
    finisher: Finisher
    watching: Watching
    publish: Callable[[Commit], None]
    prepare: Callable[[Commit], None]
    resumed: Callable[[Resumed], None]
    show: Callable[[StreamStatus], None]
    tell_past: Callable[[object], None]
    metrics: Metrics
    quiet: Quiet

    def start(self, report: Report, restarts: int) -> ActorRef[Any]:
        settings, metrics = self.settings, self.metrics.chain(self.settings.name)
        ledger = self._ledger(metrics)
        return ChainActor.start(
            name=settings.name,
            chain_id=settings.chain_id,
            stream=self._stream,
            node=self.node,
            feed=self.feed,
            ledger=ledger,
            follower=self._follower(ledger, metrics),
            resumed=self.resumed,
            show=self.show,
            metrics=metrics,
            sync_seconds=settings.sync_interval_seconds,
            restarts=restarts,
            report=report,
            quiet=self.quiet,
        )

    @property
    def _stream(self) -> str:
        return chain_stream(self.settings.chain_id)

    def _ledger(self, metrics: ChainMetrics) -> Ledger:
        return Ledger(
            stream=self._stream,
            chain_id=self.settings.chain_id,
            window=self.settings.reorg_window_blocks,
            commits=self.store.commits,
            checkpoints=self.store.checkpoints,
            books=self.store.balances,
            finisher=self.finisher,
            publish=self.publish,
            prepare=self.prepare,
            written=partial(self._written, metrics),
            counted=lambda records, events: metrics.committed(records=records, events=events),
            returned=self._passed_over,
        )

    def _follower(self, ledger: Ledger, metrics: ChainMetrics) -> Follower:
        settings = self.settings
        return Follower(
            name=settings.name,
            chain_id=settings.chain_id,
            node=self.node,
            ledger=ledger,
            tokens=self.watching,
            book=self.store.chains,
            watch=self.watching.watch(settings.chain_id),
            window=settings.reorg_window_blocks,
            native_interval=settings.native_interval_blocks,
            metrics=metrics,
            was_read=self._was_read,
            passed_over=self._passed_over,
            left_branch=lambda: self.tell_past(BranchLeft()),
        )

    def _was_read(self, holdings: frozenset[Holding]) -> None:
        self.watching.was_read(self.settings.chain_id, holdings)
        self.tell_past(BalancesRead(holdings))

    def _passed_over(self, seq: int) -> None:
        self.tell_past(PassedOver(self._stream, seq))

    def _written(self, metrics: ChainMetrics, seconds: float) -> None:
        metrics.stage("write", seconds)
        self.metrics.store_call("append", "ok", seconds)
