"""The demo's world: two chains with tokens, wallets and traffic among them, and desks at two exchanges."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from indexer.addresses import checksum
from indexer.config import ChainSettings, ServiceSettings, Settings, SolverSettings, StoreSettings
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed, deploy
from indexer.demo.desks import DESK_PLANS, DeskPlan, Desks, open_desks
from indexer.demo.traffic import Move, NativeSent, PaidInside, TokenMoved, moves
from indexer.domain.chain import Address

log = structlog.get_logger(__name__)

SOLVER_NAMES = ("aurora", "borealis", "corona", "dorado", "equinox")

# Without this, anvil writes old states to disk and grows for as long as it runs.
_KEPT_STATES = ("--prune-history", "1024")


@dataclass(frozen=True, slots=True)
class Plan:
    """A chain of the demo, before it is there."""

    name: str
    chain_id: int
    block_seconds: int
    native_symbol: str
    token_name: str
    token_symbol: str
    token_decimals: int


PLANS = (
    Plan("fast", 31337, 1, "ETH", "Demo Dollar", "DUSD", 6),
    Plan("slow", 31338, 2, "POL", "Demo Gold", "DGLD", 18),
)


@dataclass(frozen=True, slots=True)
class DemoChain:
    """A running chain with its contracts; `held` is what each wallet was given of the token."""

    plan: Plan
    anvil: Anvil
    token: Deployed
    payer: Deployed
    outside: tuple[Address, ...]
    held: Mapping[Address, int]

    async def make(self, move: Move) -> str:
        """Hand the move in; the hash of its transaction."""
        match move:
            case TokenMoved(sender, recipient, amount):
                return await self.token.send("transfer", recipient, amount, sender=sender)
            case NativeSent(sender, recipient, amount):
                return await self.anvil.send(recipient, value=amount, sender=sender)
            case PaidInside(sender, recipient, amount):
                return await self.payer.send("pay", recipient, amount, sender=sender, value=amount)

    def settings(self) -> ChainSettings:
        return ChainSettings(
            name=self.plan.name,
            chain_id=self.plan.chain_id,
            rpc_urls=(self.anvil.http_url,),
            ws_urls=(self.anvil.ws_url,),
            native_symbol=self.plan.native_symbol,
            tokens=(self.token.address,),
        )


class DemoWorld:
    """`async with DemoWorld(seed=7) as world:` gives chains with wallets; traffic begins with `start_traffic`."""

    def __init__(
        self,
        *,
        seed: int = 1,
        plans: tuple[Plan, ...] = PLANS,
        desks: tuple[DeskPlan, ...] = DESK_PLANS,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.chains: tuple[DemoChain, ...] = ()
        self.solvers: Mapping[str, Address] = {}
        self.desks: Desks | None = None
        self._desk_plans = desks
        self._seed = seed
        self._plans = plans
        self._say = say
        self._stack = AsyncExitStack()
        self._traffic: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        try:
            self.chains = tuple([await self._build(plan) for plan in self._plans])
            self.desks = await open_desks(self._stack, self._desk_plans, self._seed)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stop_traffic()
        finally:
            await self._stack.aclose()

    def settings(
        self, *, host: str = "127.0.0.1", port: int = 0, data_dir: Path = Path("data"), store: str = "memory"
    ) -> Settings:
        """What a service needs to follow this world."""
        return Settings(
            service=ServiceSettings(host=host, port=port, data_dir=data_dir),
            store=StoreSettings(url=store, database="demo"),
            chains={chain.plan.name: chain.settings() for chain in self.chains},
            solvers={name: SolverSettings(name, address) for name, address in self.solvers.items()},
            exchanges=self.desks.settings() if self.desks else {},
        )

    def start_traffic(self) -> None:
        """A few moves per block on every chain, the same ones for the same seed."""
        self._traffic = [
            *(asyncio.create_task(self._trade(chain), name=f"traffic {chain.plan.name}") for chain in self.chains),
            *(self.desks.trade() if self.desks else ()),
        ]
        for task in self._traffic:
            task.add_done_callback(_tell_failure)

    async def stop_traffic(self) -> None:
        tasks, self._traffic = self._traffic, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _build(self, plan: Plan) -> DemoChain:
        self._say(f"Starting the chain {plan.name!r} (id {plan.chain_id}, a block every {plan.block_seconds} s) ...")
        # Built with blocks on demand, in milliseconds; the clock starts when everything stands.
        anvil = await self._stack.enter_async_context(Anvil(chain_id=plan.chain_id, args=_KEPT_STATES))
        owner, *wallets = (checksum(account) for account in anvil.accounts)
        solvers, outside = wallets[: len(SOLVER_NAMES)], tuple(wallets[len(SOLVER_NAMES) :])
        self.solvers = dict(zip(SOLVER_NAMES, solvers, strict=True))
        token = await deploy(anvil, "PlainToken", plan.token_name, plan.token_symbol, plan.token_decimals, sender=owner)
        payer = await deploy(anvil, "Payer", sender=owner)
        rng = _seeded(self._seed, plan.chain_id, "purses")
        held = {wallet: rng.randint(20_000, 500_000) * 10**plan.token_decimals for wallet in wallets}
        for wallet, amount in held.items():
            await token.send("mint", wallet, amount, sender=owner)
        await anvil.mine()
        await anvil.rpc("evm_setIntervalMining", plan.block_seconds)
        anvil.block_time = plan.block_seconds
        return DemoChain(plan, anvil, token, payer, outside, held)

    async def _trade(self, chain: DemoChain) -> None:
        rng = _seeded(self._seed, chain.plan.chain_id, "moves")
        unit = 10**chain.plan.token_decimals
        script = moves(rng, solvers=tuple(self.solvers.values()), outside=chain.outside, held=chain.held, unit=unit)
        for move in script:
            await chain.make(move)
            await asyncio.sleep(chain.plan.block_seconds * rng.uniform(0.2, 0.8))


def _seeded(*parts: object) -> random.Random:
    return random.Random("/".join(map(str, parts)))  # noqa: S311 - a script that can be played again, not a secret


def _tell_failure(task: asyncio.Task[None]) -> None:
    """The service must not end because the world around it stands still; but somebody should know."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("traffic_stopped", task=task.get_name(), error=repr(error))
