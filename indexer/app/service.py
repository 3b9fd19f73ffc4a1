"""The composition root: builds leaf first, stops in reverse; the only place that knows everyone."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Self

import structlog

from actors.positions import Positions
from actors.statusboard import StatusBoard
from actors.watching import Watching
from indexer.api.app import build_app
from indexer.api.hub import Hub
from indexer.app.accounts import Accounts
from indexer.app.audit import Auditor
from indexer.app.chains import Chains
from indexer.app.control import Control
from indexer.app.counts import ChainCounts
from indexer.app.files import Room, open_files
from indexer.app.hidden import hidden
from indexer.app.history import BackfillBoard
from indexer.app.lasting import keep_running
from indexer.app.listeners import Listeners
from indexer.app.nats import NatsBoard
from indexer.app.nodes import connected
from indexer.app.pulse import Pulse, watched
from indexer.app.reload import watch_file
from indexer.app.report import ServiceReport
from indexer.app.settings import file_solvers, watched_chains
from indexer.app.site import Site, is_local_only, keys_of, listen
from indexer.app.trunk import Trunk
from indexer.app.version import VERSION
from indexer.app.waiting import Waiting
from indexer.config import ServiceSettings, Settings
from indexer.domain.telling.commits import Commit
from indexer.errors import Stopped
from indexer.metrics import Metrics
from indexer.vault import open_vault
from repositories.store import open_store

log = structlog.get_logger(__name__)


class Service:
    """The whole indexer in this event loop: `async with Service(settings) as service: ...`.

    `serve=False` leaves out HTTP and the websocket, for programs that use only the Python calls.
    """

    def __init__(self, settings: Settings, *, serve: bool = True) -> None:
        self.settings = settings
        self.url: str | None = None
        self._serve = serve
        self._site: Site | None = None
        self._hung_up = asyncio.Event()
        self._waiting = Waiting()
        self._stack = AsyncExitStack()
        self._is_over = False
        self._finished = asyncio.Event()
        self._code = 0

    # --- life --------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        try:
            await self._build()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True
        await self._stack.aclose()

    def check_running(self) -> None:
        """`Stopped` for who asks after the end: what was known then is no answer."""
        if self._is_over:
            raise Stopped("the indexer has stopped; what it knew may not hold any more")

    async def finished(self) -> int:
        """Wait until the service stops by itself or by `finish`; the exit code."""
        await self._finished.wait()
        return self._code

    def finish(self, code: int = 0) -> None:
        """The first word on how it ended counts."""
        if not self._finished.is_set():
            self._code = code
            self._finished.set()

    async def ready(self) -> None:
        """Return once every chain has caught up and all first balances were told."""
        await self._board.until(lambda: not self.report.unready())

    async def _build(self) -> None:
        """Each after what it needs, and closed before it."""
        service = self.settings.service
        listener = listen(service.host, service.port) if self._serve else None
        if listener is not None:
            self._stack.callback(listener.close)
        await self._open_store()
        await self._build_chains()
        await self._build_accounts()
        self._build_report()
        self._build_control()
        self.listeners = Listeners(self.store.epoch)
        self._stack.push_async_callback(self.listeners.close)
        self._hub = self._build_hub()
        self._metrics.watch_subscribers(lambda: self._hub.subscribers)
        await self._hub.start()
        self._stack.push_async_callback(self._hub.close)
        await self._start_actors()
        if listener is not None:
            await self._open_site(listener)
        watch = watched(self.store.ping, ill=partial(self.report.ill, "store"), lost=partial(self._give_up, "store"))
        keep_running(watch, "store watch", until=self._stack, give_up=self._give_up)
        self._stack.callback(self.accounts.end_waiting)
        self._stack.callback(self._waiting.end)  # first of all: whoever waits has an answer before the site is closed
        await self.control.start()
        if self.settings.path is not None:
            watch = watch_file(self.settings.path, self._hung_up, self.control.reload_quietly)
            keep_running(watch, "file watch", until=self._stack, give_up=self._give_up)

    async def _open_store(self) -> None:
        settings = self.settings
        self._metrics = Metrics(version=VERSION)
        self._metrics.watch_tasks(lambda: len(asyncio.all_tasks()))
        self.store = await self._stack.enter_async_context(
            open_store(settings.store.url, settings.store.database, settings.service.data_dir)
        )
        self._board = StatusBoard()
        self._counts = ChainCounts(metrics=self._metrics, board=self._board, chains=self._chain_names)
        self.positions = Positions(
            told=await self.store.commits.positions(), projected=await self.store.checkpoints.projected()
        )
        self._trunk = Trunk(
            store=self.store,
            positions=self.positions,
            metrics=self._metrics,
            told=self._board.tell,
            published=self._counts.published,
            give_up=self._give_up,
        )
        self._stack.push_async_callback(self._trunk.finisher.close)  # after all who write

    async def _build_chains(self) -> None:
        self._backfills = BackfillBoard(self._counts.backfilled)
        self._chains = Chains(
            store=self.store,
            board=self._board,
            connect=lambda chain: connected(chain, self._metrics),
            supervisor=self._trunk.supervisor,
            broadcaster=self._trunk.broadcaster,
            finisher=self._trunk.finisher,
            prepare=self._prepare,
            metrics=self._metrics,
            positions=self.positions,
            backfills=self._backfills,
            waiting=self._waiting,
        )
        self._stack.push_async_callback(self._chains.close)
        for chain in self.settings.chains.values():
            self._chains.prepare(chain)
        self.watching = Watching(
            chains=watched_chains(self.settings),
            solvers=file_solvers(self.settings),
            watchlist=self.store.watchlist,
            book=self.store.tokens,
            node=self._chains.node,
            changed=self._chains.rewatch,
            within=self._chains.within,
        )
        self._chains.watching = self.watching
        await self.watching.load()

    async def _build_accounts(self) -> None:
        self.accounts = Accounts(
            store=self.store,
            board=self._board,
            supervisor=self._trunk.supervisor,
            broadcaster=self._trunk.broadcaster,
            finisher=self._trunk.finisher,
            prepare=self._prepare,
            metrics=self._metrics,
            vault=lambda: open_vault(self.control.settings.service.master_key, self.settings.service.data_dir),
            waiting=self._waiting,
            told=self.positions.told,
        )
        self._stack.push_async_callback(self.accounts.close)
        await self.accounts.load(self.settings)  # nobody may ask before all of them are known

    def _build_report(self) -> None:
        self._nats = NatsBoard(
            store=self.store,
            positions=self.positions,
            watching=self.watching,
            supervisor=self._trunk.supervisor,
            metrics=self._metrics,
        )
        self.report = ServiceReport(
            board=self._board,
            version=VERSION,
            store=self.store.kind,
            expected=lambda: {**self._chains.expected(), **self.accounts.expected()},
            told=self.positions.told,
            nats=self._nats.status,
            cache=self.accounts.cache,
            hidden=lambda: hidden(self.watching, self.accounts),
        )

    def _build_control(self) -> None:
        self.control = Control(
            settings=self.settings,
            chains=self._chains,
            watching=self.watching,
            balances=self.store.balances,
            positions=self.positions,
            report=self.report,
            admit=self._admit,
            publish=self._nats.apply,
            accounts=self.accounts,
            auditor=Auditor(
                balances=self.store.balances,
                chains=self.watching.chains,
                node=self._chains.node,
                waiting=self._waiting,
                audited=self._counts.audited,
            ),
            backfills=self._backfills,
            waiting=self._waiting,
            give_up=self._give_up,
        )

    def _build_hub(self) -> Hub:
        self._room = Room(open_files(), chains=lambda: self.control.settings.chains, accounts=self.accounts.all)
        return Hub(
            log=self.store.commits,
            balances=self.store.balances,
            amounts=self.store.accounts,
            accounts=self.accounts,
            freshness=self.positions,
            watching=self.watching,
            status=self.report,
            epoch=self.store.epoch,
            room=lambda: self._room.now().websockets,
            on_conflation=self._metrics.subscriber_conflated,
            on_dropped=self._metrics.subscriber_dropped,
            give_up=partial(self._give_up, "hub"),
        )

    async def _start_actors(self) -> None:
        self._stack.push_async_callback(self._trunk.close)
        await self._trunk.start()
        await self._nats.apply(self.settings.nats)  # before the broadcaster, so that it ends after it
        await self._trunk.tell((self._hub, self.listeners, self._nats))
        if self.settings.store.history_days:
            await self._trunk.forget_after(self.settings.store.history_days)

    def _chain_names(self) -> Mapping[str, int]:
        """Asked for once there is something to count."""
        return self.watching.chains()

    def _prepare(self, commit: Commit, said: Sequence[Mapping[str, Any]] | None = None) -> None:
        """While it is written; the hub is built after those who write."""
        self._hub.prepare(commit, said)

    def _give_up(self, name: str, error: BaseException) -> None:
        log.critical("service_gives_up", actor=name, error=repr(error))
        self.finish(1)

    async def _open_site(self, listener: socket.socket) -> None:
        pulse = Pulse(self.store.ping)
        self._stack.push_async_callback(pulse.close)
        app = build_app(
            balances=self.store.balances,
            log=self.store.commits,
            freshness=self.positions,
            watching=self.watching,
            control=self.control,
            status=self.report,
            accounts=self.accounts,
            account_books=self.store.accounts,
            epoch=self.store.epoch,
            version=VERSION,
            ws_handler=self._hub.handle,
            subscribers=lambda: self._hub.subscribers,
            metrics=self._metrics.render,
            observe=self._metrics.http_answered,
            store_answers=pulse.is_felt,
            keys=keys_of(self.settings.service),
            local_only=is_local_only(self.settings.service),
        )
        self._site = Site(
            app, hub=self._hub, host=self.settings.service.host, room=lambda: self._room.now().connections
        )
        self._stack.push_async_callback(self._site.close)
        self.url = await self._site.open(listener)
        self._room.now()  # where it is little, that is said at once
        log.info("listening", url=self.url, pid=os.getpid(), store=self.store.kind)

    def _admit(self, service: ServiceSettings) -> None:
        """Nobody has to be let in where only Python programs ask."""
        if self._site is not None:
            self._site.admit(service)

    def hang_up(self) -> None:
        """What `SIGHUP` does: read the configuration file again, as soon as the start is over."""
        self._hung_up.set()
