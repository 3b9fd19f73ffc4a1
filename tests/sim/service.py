"""One life of the service in the simulated world: the product's own parts, put together as it does it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp import web
from pykka import ActorRef, ActorRegistry

from actors.base import Report, end
from actors.broadcaster import Broadcaster
from actors.finishing import Finisher
from actors.messages import Begin, Committed
from actors.positions import Positions
from actors.projector import Projector
from actors.statusboard import StatusBoard
from actors.supervisor import StartChild, Supervisor
from actors.watching import Watching
from indexer.api.app import build_app
from indexer.api.hub import Hub
from indexer.api.server import ApiRunner
from indexer.app.audit import Auditor
from indexer.app.chains import Chains
from indexer.app.control import Control
from indexer.app.history import BackfillBoard
from indexer.app.posts import Post
from indexer.app.report import ServiceReport
from indexer.app.settings import file_solvers, watched_chains
from indexer.app.waiting import Waiting
from indexer.config import ChainSettings, NatsSettings, Settings, SolverSettings, Venues
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.registry import Account
from indexer.domain.chain import NATIVE, Address, BlockHash, TokenInfo
from indexer.domain.restarts import RestartPolicy
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.streams import chain_stream, history_stream
from indexer.errors import StoreUnavailable
from indexer.metrics import Metrics
from tests.sim.owners import Process
from tests.sim.store import Disk, SimStore
from tests.sim.wires import Wire
from tests.sim.world import CHAIN_ID, TOKENS, WALLETS

STREAM = chain_stream(CHAIN_ID)
HISTORY = history_stream(CHAIN_ID)

Connect = Callable[[ChainSettings], tuple[Any, Any]]
"""Makes the chain's client and feed, once per life and whenever the file has other settings."""

METRICS = Metrics()
"""One for all lives: a registry takes milliseconds to make, and nobody reads this one."""


class Infos:
    """Every token has six decimals, unless it says otherwise later."""

    def __init__(self) -> None:
        self.coin = TokenInfo(18, "COIN", "COIN")
        """What the file calls the native coin."""
        self.says: dict[Address, TokenInfo] = {}
        self.told: dict[Address, TokenInfo] = {}
        self.asked: Callable[[Collection[Address]], object] = lambda _tokens: None
        self._described: set[Address] = set()

    async def describe(self, _chain: int, tokens: Collection[Address]) -> Mapping[str, TokenInfo]:
        self._described |= set(tokens)
        told = {str(token): self.told.get(token, TokenInfo(6, "SIM", "Simulated")) for token in self._described}
        return told | {NATIVE: self.coin}

    async def say_otherwise(
        self, _chain: int, tokens: Collection[Address], _block: BlockHash
    ) -> Mapping[Address, TokenInfo]:
        self.asked(tokens)
        return {token: info for token, info in self.says.items() if token in tokens and self.told.get(token) != info}

    async def keep_told(self, _chain: int, told: Mapping[Address, TokenInfo]) -> None:
        self.told |= told


def settings_of(window: int, start_block: int | None = None, native_interval: int = 1) -> Settings:
    chain = ChainSettings(
        name="sim",
        chain_id=CHAIN_ID,
        rpc_urls=("http://sim",),
        tokens=tuple(TOKENS),
        start_block="latest" if start_block is None else start_block,
        sync_interval_seconds=60,
        reorg_window_blocks=window,
        native_interval_blocks=native_interval,
    )
    solvers = {f"s{place}": SolverSettings(f"s{place}", wallet) for place, wallet in enumerate(WALLETS)}
    return Settings(chains={chain.name: chain}, solvers=solvers)


class Life:
    """From a start to a kill or a clean stop. `process` is whose everything in it is."""

    def __init__(self, disk: Disk, connect: Connect, settings: Settings) -> None:
        self.process = Process()
        self.store = SimStore(disk)
        self.board = StatusBoard()
        self.gave_up: BaseException | None = None
        self._connect = connect
        self._settings = settings
        self._supervisor, self._broadcaster, self._projector = Post(), Post(), Post()
        self._finisher = Finisher(
            log=self.store.commits, publish=lambda commit: self._broadcaster.tell(Committed(commit))
        )
        self._runner: ApiRunner | None = None
        self._wires: list[Wire] = []
        self._is_over = False
        self._waiting = Waiting()

    @property
    def is_up(self) -> bool:
        """Whether it answers."""
        return self._runner is not None and not self._is_over

    # --- life and death ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Returns when it is up, or was killed on the way there."""
        await asyncio.wait((self.process.spawn(self._start()),))

    def kill(self) -> None:
        """Like `kill -9`: no handler gets to say another word, and every connection breaks."""
        self._is_over = True
        self.store.die()
        self.process.kill()
        for wire in self._wires:
            wire.abort()
        for ref in ActorRegistry.get_all():
            ref.actor_stopped.set()
            ActorRegistry.unregister(ref)

    async def stop(self) -> None:
        """In the order of the product: the site and its subscribers, the actors, the chains' clients.

        Nobody is let in any more; what is open in the end breaks with the process.
        """
        self._is_over = True
        await asyncio.wait((self.process.spawn(self._stop()),))
        for wire in self._wires:
            wire.abort()

    async def _start(self) -> None:
        store, settings = self.store, self._settings
        told = await _patiently(store.commits.positions)
        self.positions = Positions(told, await _patiently(store.checkpoints.projected))
        backfills = self.backfills = BackfillBoard()
        chains = self.chains = Chains(
            store=cast(Any, store),
            board=self.board,
            connect=cast(Any, self._connect),
            supervisor=self._supervisor,
            broadcaster=self._broadcaster,
            finisher=self._finisher,
            prepare=self._prepare,
            metrics=METRICS,
            positions=self.positions,
            backfills=backfills,
            waiting=self._waiting,
            clock=asyncio.get_running_loop().time,
        )
        for chain in settings.chains.values():
            chains.prepare(chain)
        self.watching = chains.watching = Watching(
            chains=watched_chains(settings),
            solvers=file_solvers(settings),
            watchlist=store.watchlist,
            book=store.tokens,
            node=chains.node,
            changed=chains.rewatch,
            within=chains.within,
        )
        await _patiently(self.watching.load)
        self.report = ServiceReport(
            board=self.board, version="sim", store=store.kind, expected=chains.expected, told=self.positions.told
        )
        self.hub = self._hub()
        await _patiently(self.hub.start)
        await self._start_actors()
        self.control = self._controlled(settings)
        self._runner = ApiRunner(self._site(), access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        await self.control.start()

    def _prepare(self, commit: Commit) -> None:
        self.hub.prepare(commit)

    async def _stop(self) -> None:
        self._waiting.end()
        await self.hub.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._supervisor.ref is not None:
            await end(self._supervisor.ref, 60)
        await self.chains.close()
        await self._finisher.close()

    # --- the world going out -----------------------------------------------------------------------------------------

    def dial(self, client: Process, protocol: asyncio.Protocol) -> Wire:
        """A connection to this life's site."""
        if not self.is_up or self._runner is None or self._runner.server is None:
            raise aiohttp.ClientConnectionError("connection refused")
        wire = Wire()
        server = self._runner.server()
        wire.connect(protocol, client.context, cast(asyncio.Protocol, server), self.process.context)
        self._wires = [*(each for each in self._wires if each.is_open), wire]
        return wire

    def _hub(self) -> Hub:
        return Hub(
            log=self.store.commits,
            balances=self.store.balances,
            amounts=cast(Any, None),  # nobody asks where no account is followed
            accounts=_NoAccounts(),
            freshness=self.positions,
            watching=self.watching,
            status=self.report,
            epoch=self.store.epoch,
            monotonic=asyncio.get_running_loop().time,
        )

    def _controlled(self, settings: Settings) -> Control:
        return Control(
            settings=settings,
            chains=self.chains,
            watching=self.watching,
            balances=self.store.balances,
            positions=self.positions,
            report=self.report,
            admit=lambda _service: None,
            publish=_nowhere,
            accounts=_NoAccounts(),
            auditor=Auditor(
                balances=cast(Any, self.store.balances),
                chains=self.watching.chains,
                node=self.chains.node,
                waiting=self._waiting,
            ),
            backfills=self.backfills,
            waiting=self._waiting,
            give_up=self._give_up,
        )

    def _site(self) -> web.Application:
        return build_app(
            balances=self.store.balances,
            log=self.store.commits,
            freshness=self.positions,
            watching=self.watching,
            control=self.control,
            status=self.report,
            accounts=cast(Any, None),
            account_books=cast(Any, None),
            epoch=self.store.epoch,
            version="sim",
            ws_handler=self.hub.handle,
        )

    # --- actors ------------------------------------------------------------------------------------------------------

    async def _start_actors(self) -> None:
        supervisor = self._supervisor.move_to(
            Supervisor.start(
                give_up=self._give_up,
                policy=RestartPolicy(most_restarts=50),
                clock=asyncio.get_running_loop().time,
                report=partial(self._give_up, "supervisor"),
            )
        )
        await supervisor.ask(StartChild("projector", self._project), block=False)
        await supervisor.ask(StartChild("broadcaster", self._broadcast), block=False)
        projector = self._projector.ref
        if projector is not None:
            await projector.ask(Begin(), block=False)

    def _give_up(self, _name: str, error: BaseException) -> None:
        self.gave_up = error

    def _project(self, report: Report) -> ActorRef[Any]:
        ref = Projector.start(
            ledger=self.store.commits,
            books=self.store.books,
            checkpoints=self.store.checkpoints,
            positions=self.positions,
            report=report,
            clock=asyncio.get_running_loop().time,
        )
        ref.tell(Begin())
        return self._projector.move_to(ref)

    def _broadcast(self, report: Report) -> ActorRef[Any]:
        ref = Broadcaster.start(
            ledger=self.store.commits,
            sinks=(self.hub,),
            positions=self.positions,
            project=lambda commit: self._projector.tell(Committed(commit)),
            told=self.board.tell,
            report=report,
        )
        ref.tell(Begin())
        return self._broadcaster.move_to(ref)


async def _patiently(ask: Any) -> Any:
    """A service that cannot read its store when it starts is started again by whoever runs it."""
    while True:
        try:
            return await ask()
        except StoreUnavailable:
            await asyncio.sleep(0.2)


class _NoAccounts:
    """No exchange accounts in this world."""

    async def start(self, settings: Settings) -> None: ...

    async def ready_to_apply(self) -> None: ...

    async def apply(self, old: Settings, new: Settings) -> None: ...

    def exchanges(self) -> Venues:
        return {}

    def all(self) -> tuple[Account, ...]:
        return ()

    def hidden(self) -> tuple[AccountKey, ...]:
        return ()


async def _nowhere(_settings: NatsSettings) -> None:
    """There is no NATS in this world."""
