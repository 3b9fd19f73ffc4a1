"""Who runs the service: adds and removes solvers and tokens, orders history and refreshes, all over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Final

import aiohttp

from indexer.domain.balances import Watch
from indexer.domain.chain import Holding
from tests.sim.clients import URL, Present, SimConnector
from tests.sim.faults import Faults
from tests.sim.owners import Process
from tests.sim.service import STREAM
from tests.sim.world import CHAIN_ID, NEWCOMER, SILENT, WATCH, World

API: Final = f"{URL}/api/v1"
EVERY: Final = Watch(WATCH.tokens | {SILENT}, WATCH.solvers | {NEWCOMER})
PATIENCE: Final = aiohttp.ClientTimeout(total=30)


class Operator:
    """One order at a time. `since` says from which block on nothing of a balance may be missing.

    `is_calm`: nobody else is changing what is watched.
    """

    def __init__(
        self,
        world: World,
        random: Random,
        faults: Callable[[], Faults],
        present: Present,
        is_calm: Callable[[], bool] = lambda: True,
    ) -> None:
        self.orders = self.refused = 0
        self.since: dict[Holding, int] = dict.fromkeys(WATCH.holdings(), 0)
        self.away: set[Holding] = set()
        self._world = world
        self._random = random
        self._faults = faults
        self._present = present
        self._is_calm = is_calm
        self._process = Process()
        self._order: asyncio.Task[None] | None = None

    def happen(self) -> None:
        """One step of the story."""
        self.notice()
        if self._is_idle and self._random.random() < self._faults().order:
            work = self._random.choice((self._watch_solver, self._watch_token, self._fill, self._fill, self._refresh))
            self._order = self._process.spawn(self._do(*work()))

    def notice(self) -> None:
        """A balance that was added is complete from the first calm moment on."""
        life = self._present()
        if life is None or not self._is_idle or not life.is_up or not self._is_calm():
            return
        if CHAIN_ID not in life.watching.chains().values():
            return  # it is taken out of the file for a while, like a service that is down
        watch, due, state = life.watching.watch(CHAIN_ID), life.watching.due(CHAIN_ID), life.board.one(STREAM)
        calm = state is not None and state.ready and state.block == self._world.tip.number
        new = watch.holdings() - self.since.keys() - due if calm else frozenset[Holding]()
        self.since = {holding: since for holding, since in self.since.items() if watch.covers(holding)}
        self.since |= dict.fromkeys(new, self._world.tip.number)

    def forget(self, concerned: Callable[[Holding], bool]) -> None:
        """These may be unwatched for a while."""
        self.since = {holding: since for holding, since in self.since.items() if not concerned(holding)}
        self.away |= {holding for holding in EVERY.holdings() if concerned(holding)}

    async def settle(self) -> None:
        """The last order has been answered, or never will be."""
        if self._order is not None:
            await asyncio.wait((self._order,))
            self._order.result()

    @property
    def _is_idle(self) -> bool:
        return self._order is None or self._order.done()

    # --- orders ------------------------------------------------------------------------------------------------------

    def _watch_solver(self) -> tuple[str, str, dict[str, Any] | None]:
        self.forget(lambda holding: holding.solver == NEWCOMER)
        if self._random.random() < 0.5:
            return "POST", "/solvers", {"name": "newcomer", "address": NEWCOMER}
        return "DELETE", "/solvers/newcomer", None

    def _watch_token(self) -> tuple[str, str, dict[str, Any] | None]:
        self.forget(lambda holding: holding.token == SILENT)
        if self._random.random() < 0.5:
            return "POST", "/tokens", {"chain": CHAIN_ID, "addresses": [SILENT]}
        return "DELETE", f"/tokens/{CHAIN_ID}/{SILENT}", None

    def _fill(self) -> tuple[str, str, dict[str, Any] | None]:
        tip = self._world.tip.number
        order: dict[str, Any] = {"chain": CHAIN_ID, "fromBlock": self._random.randint(0, tip)}
        holding = self._random.choice(sorted(WATCH.holdings()))
        if self._random.random() < 0.3:
            order["toBlock"] = self._random.randint(order["fromBlock"], tip)
        if self._random.random() < 0.5:
            order["token"] = holding.token
        if self._random.random() < 0.5:
            order["solver"] = holding.solver
        return "POST", "/backfill", order

    def _refresh(self) -> tuple[str, str, dict[str, Any] | None]:
        holding = self._random.choice(sorted(WATCH.holdings()))
        return "POST", f"/balances/{CHAIN_ID}/{holding.token}/{holding.solver}/refresh", None

    async def _do(self, method: str, path: str, body: dict[str, Any] | None) -> None:
        self.orders += 1
        connector = SimConnector(self._process, self._present)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=PATIENCE) as session,
                session.request(method, API + path, json=body) as answer,
            ):
                self.refused += answer.status >= 400
        except (aiohttp.ClientError, OSError, TimeoutError):
            self.refused += 1
