"""The actors that everything committed runs through, whatever stream it is of; there is one of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pykka import ActorRef

from actors.base import Report, end
from actors.broadcaster import Broadcaster, Sink
from actors.finishing import Finisher
from actors.janitor import Janitor, Sweep
from actors.messages import Begin, Committed
from actors.positions import Positions
from actors.projector import Projector
from actors.supervisor import StartChild, Supervisor
from indexer.app.posts import Post
from indexer.domain.telling.commits import Commit
from indexer.metrics import Metrics

if TYPE_CHECKING:
    from repositories.store import Store

STOP_SECONDS = 4.0


class Trunk:
    """Supervisor, projector, broadcaster, janitor; who writes and who supervises more reach them by their posts."""

    def __init__(
        self,
        *,
        store: Store,
        positions: Positions,
        metrics: Metrics,
        told: Callable[[Commit], None],
        published: Callable[[Commit, float], None],
        give_up: Callable[[str, BaseException], None],
    ) -> None:
        self.supervisor, self.broadcaster, self._projector = Post(), Post(), Post()
        self.finisher = Finisher(log=store.commits, publish=lambda commit: self.broadcaster.tell(Committed(commit)))
        self._store = store
        self._positions = positions
        self._metrics = metrics
        self._told = told
        self._published = published
        self._give_up = give_up
        self._root: ActorRef[Any] | None = None

    async def start(self) -> None:
        """The supervisor, and whoever makes visible to queries what was committed."""
        self._root = Supervisor.start(
            give_up=self._give_up,
            restarted=lambda name, _count: self._metrics.actor_restarted(name),
            report=partial(self._give_up, "supervisor"),
        )
        self.supervisor.move_to(self._root)
        self._metrics.watch_inbox("broadcaster", lambda: self.broadcaster.waiting)
        self._metrics.watch_inbox("projector", lambda: self._projector.waiting)
        await self._supervise("projector", self._start_projector)

    async def tell(self, sinks: Sequence[Sink]) -> None:
        """From now on, whatever is committed; returns once queries see what was committed before."""
        await self._supervise("broadcaster", partial(self._start_broadcaster, sinks))
        ref = self._projector.ref
        if ref is not None:
            await ref.ask(Begin(), block=False)

    async def forget_after(self, days: int) -> None:
        await self._supervise("janitor", partial(self._start_janitor, days))

    async def close(self) -> None:
        """Ends all that are supervised, those of others as well."""
        if self._root is not None:
            await end(self._root, STOP_SECONDS)

    async def _supervise(self, name: str, start: Callable[[Report], ActorRef[Any]]) -> None:
        assert self._root is not None  # noqa: S101 - `start` comes first
        await self._root.ask(StartChild(name, start), block=False)

    def _start_projector(self, report: Report) -> ActorRef[Any]:
        ref = Projector.start(
            ledger=self._store.commits,
            books=self._store.books,
            checkpoints=self._store.checkpoints,
            positions=self._positions,
            report=report,
            written=partial(self._metrics.store_call, "project", "ok"),
        )
        ref.tell(Begin())
        return self._projector.move_to(ref)

    def _start_broadcaster(self, sinks: Sequence[Sink], report: Report) -> ActorRef[Any]:
        ref = Broadcaster.start(
            ledger=self._store.commits,
            sinks=sinks,
            positions=self._positions,
            project=lambda commit: self._projector.tell(Committed(commit)),
            told=self._told,
            published=self._published,
            report=report,
        )
        ref.tell(Begin())
        return self.broadcaster.move_to(ref)

    def _start_janitor(self, days: int, report: Report) -> ActorRef[Any]:
        ref = Janitor.start(days=days, ledger=self._store.commits, books=self._store.books, report=report)
        ref.tell(Sweep())
        return ref
