"""Publishing on NATS: there while the configuration names a server, and started anew when it names another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from pykka import ActorRef

from actors.base import Report
from actors.messages import Begin, Committed
from actors.positions import Positions
from actors.publisher import Publisher
from actors.supervisor import StartChild, StopChild
from actors.watching import Watching
from indexer.app.posts import Post
from indexer.config import NatsSettings
from indexer.domain.health.status import BusStatus
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.subjects import Names
from indexer.metrics import Metrics

if TYPE_CHECKING:
    from indexer.bus import NatsBus  # nats-py is imported when it is used
    from repositories.store import Store

log = structlog.get_logger(__name__)

CHILD = "nats"


class NatsBoard:
    """A sink of the broadcaster's, and what `/status` says of it."""

    def __init__(
        self, *, store: Store, positions: Positions, watching: Watching, supervisor: Post, metrics: Metrics
    ) -> None:
        self._store = store
        self._positions = positions
        self._watching = watching
        self._supervisor = supervisor
        self._metrics = metrics
        self._post = Post()
        self._settings = NatsSettings()
        self._status: BusStatus | None = None
        metrics.bus.watch(lag=self._lag, connected=self._is_connected)
        metrics.watch_inbox(CHILD, lambda: self._post.waiting)

    def deliver(self, commit: Commit) -> None:
        self._post.tell(Committed(commit))

    async def apply(self, settings: NatsSettings) -> None:
        """Publish there from now on, or nowhere."""
        if settings == self._settings:
            return
        if self._settings.url:
            await self._ask_supervisor(StopChild(CHILD))
            log.info("nats_closed", server=self._status.server if self._status else None)
        self._settings, self._status = settings, None
        if settings.url:
            bus = _bus(settings)
            self._show(BusStatus(server=bus.server, stream=settings.stream))
            await self._ask_supervisor(StartChild(CHILD, lambda report: self._give_life(bus, settings, report)))

    def status(self) -> dict[str, Any] | None:
        """Nothing while it publishes nowhere."""
        status = self._status
        if status is None:
            return None
        return {
            "server": status.server,
            "stream": status.stream,
            "state": status.state,
            "lagEvents": self._lag(),
            "published": status.published,
            "skipped": status.skipped,
            "reconnects": status.reconnects,
            "lastError": status.last_error,
            "positions": dict(status.done),
        }

    def _give_life(self, bus: NatsBus, settings: NatsSettings, report: Report) -> ActorRef[Any]:
        assert self._status is not None  # noqa: S101 - set where the child is asked for
        ref = Publisher.start(
            ledger=self._store.commits,
            cursors=self._store.published,
            positions=self._positions,
            bus=bus,
            epoch=self._store.epoch,
            names=self._names,
            skip_old=settings.start == "new",
            status=self._status,
            show=self._show,
            metrics=self._metrics.bus,
            report=report,
        )
        ref.tell(Begin())
        return self._post.move_to(ref)

    def _names(self) -> Names:
        return Names(
            chains={chain_id: name for name, chain_id in self._watching.chains().items()},
            solvers={solver.address: solver.name for solver in self._watching.solvers()},
        )

    def _show(self, status: BusStatus) -> None:
        self._status = status

    def _lag(self) -> int:
        return self._status.lag(self._positions.told()) if self._status else 0

    def _is_connected(self) -> bool:
        return self._status is not None and self._status.state in ("live", "catching_up")

    async def _ask_supervisor(self, order: object) -> None:
        ref = self._supervisor.ref
        if ref is not None:
            await ref.ask(order, block=False)


def _bus(settings: NatsSettings) -> NatsBus:
    from indexer.bus import Login, NatsBus, StreamPlan  # noqa: PLC0415 - services without NATS do not pay for it

    return NatsBus(
        Login(
            urls=settings.urls,
            user=settings.user,
            password=settings.password,
            token=settings.token,
            credentials_file=settings.credentials_file,
            ca_file=settings.tls_ca_file,
            certificate_file=settings.tls_certificate_file,
            key_file=settings.tls_key_file,
        ),
        StreamPlan(settings.stream, settings.stream_days, settings.stream_megabytes, settings.stream_replicas),
    )
