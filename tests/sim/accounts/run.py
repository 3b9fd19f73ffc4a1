"""One seeded run: a desk trades at a venue that lies, then the venue is honest again, then the oracle."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from random import Random
from typing import Final

import structlog

from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.demo.venue import Life as Desk
from indexer.demo.venue import Venue, drawn
from indexer.demo.venue.faults import LASTING, Faults
from indexer.domain.accounts.amounts import AssetBalance, Slot, Wallet
from indexer.domain.accounts.facts import AssetUpdated
from indexer.domain.telling.commits import Commit
from tests.sim import faults as stores
from tests.sim.accounts import wall
from tests.sim.accounts.life import NAME, Life
from tests.sim.accounts.lines import MARKETS, markets_of
from tests.sim.accounts.oracle import missing, violations
from tests.sim.accounts.settling import Settling
from tests.sim.accounts.troubles import Clock, Lock, Troubles
from tests.sim.accounts.truth import Truth
from tests.sim.clock import play
from tests.sim.store import Disk

STORE_TROUBLE: Final = replace(stores.NONE, store_down=0.05, store_lost_answer=0.05)

LATE_SECONDS: Final = (0.2, 0.2, 2.5)
"""How long the late frames of a story are on their way; longer than that, ours takes one without a time for new."""

_LONGEST: Final = 300


@dataclass(frozen=True)
class Outcome:
    """What a run came to; `violations` must be empty."""

    seed: int
    exchange: str
    violations: tuple[str, ...]
    faults: int = 0
    events: int = 0
    kills: int = 0
    settled: Mapping[str, float] = field(default_factory=dict)
    """How long each wallet took to be right after the last fault, by what it depended on: its slowest."""

    def __str__(self) -> str:
        said = "; ".join(self.violations[:3])
        shown = said if len(said) <= _LONGEST else said[:_LONGEST] + "…"
        return f"make sim-accounts SEED={self.seed} RUNS=1   # {self.exchange}: {shown}"


def exchange_of(seed: int) -> str:
    return tuple(DIALECTS)[seed % len(DIALECTS)]


def run(seed: int) -> Outcome:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    markets_of(exchange_of(seed))
    try:
        return play(Story(seed).tell())
    except Exception as error:  # noqa: BLE001 - whatever ends a story early is told like a violation, with its seed
        return Outcome(seed, exchange_of(seed), (f"the story broke off: {error!r}",))
    finally:
        structlog.configure(**before)


class Story:
    """A venue, one account of it, and one life of our service after the other."""

    def __init__(self, seed: int, *, exchange: str | None = None, faults: Faults | None = None) -> None:
        self._seed = seed
        self._exchange = exchange or exchange_of(seed)
        self._random = Random(f"account {seed}")  # noqa: S311 - a story, not a secret: its seed must repeat it
        self._faults = faults or self._drawn()
        self._store_now = self._random.choice((stores.NONE, stores.NONE, STORE_TROUBLE))
        self.disk = Disk(self._random, lambda: self._store_now)
        self.kills = 0

    def _drawn(self) -> Faults:
        usual = harsher(drawn(self._random), self._random.choice((1, 1, 3)))
        # By dice of its own: what else happens in a story stays as it was before there was this.
        late = Random(f"late {self._seed}").choice(LATE_SECONDS)  # noqa: S311 - the same
        return replace(usual, late_seconds=late)

    async def tell(self) -> Outcome:
        random.seed(self._seed)  # what the product and its libraries draw by themselves
        with wall.virtual_time():
            async with Venue(
                self._exchange, seed=self._seed, markets=MARKETS, clock=wall.seconds, on_port=False
            ) as venue:
                return await self._tell(venue)

    async def _tell(self, venue: Venue) -> Outcome:
        self._clock = Clock(venue, self._seed)  # before there is anything that has a time
        account = venue.account(self._exchange, NAME)
        self.venue, self.desk = venue, Desk(venue, account, self._seed)
        wallets = wallets_of(self._exchange)
        self.truth = Truth(venue, account, wallets)
        self.desk.begin()
        self.life = await self._live()
        await self._suffer()
        await self._calm()
        late_until = self.venue.sockets.late_until
        settling = Settling(self.truth, lambda: self.life, lambda: held_of(self.disk.kept.commits), late_until)
        await settling.settle()
        unread: tuple[str, ...] = ()
        if self._random.random() < 0.1 and not settling.late:
            await settling.rest()
            unread = tuple(missing(self.disk.kept.commits, self.truth, DIALECTS[self._exchange]))
        await self.life.stop()
        found = (*violations(self.disk.kept.commits, self.truth), *settling.late, *unread, *self._broken())
        return Outcome(
            self._seed,
            self._exchange,
            found,
            venue.injected.total(),
            sum(len(commit.facts) for commit in self.disk.kept.commits),
            self.kills,
            settling.slowest,
        )

    # --- what happens ------------------------------------------------------------------------------------------------

    async def _suffer(self) -> None:
        """The venue lies for a while; the desk trades all the time."""
        pace = self._random.choice((0.3, 1.0, 4.0))
        troubles = Troubles(self.venue, self._random)
        if self._random.random() < 0.3:
            await asyncio.sleep(self._random.uniform(0, 5))
        self.venue.faults = self._faults
        account = self.venue.account(self._exchange, NAME)
        lock = Lock(self.venue, account, self._seed, lambda: self.life)
        for _ in range(self._random.choice((10, 20, 40))):
            await asyncio.sleep(self._random.expovariate(1 / pace))
            self._trade()
            troubles.happen()
            self._clock.happen()
            await lock.happen()
            if self._random.random() < 0.02:
                await self.life.refresh()
            if self._random.random() < 0.01:
                await self._kill()
        await lock.open()

    def _trade(self) -> None:
        """One more step of the desk; now and then all of something is taken out, so that there is a zero to tell."""
        account = self.venue.account(self._exchange, NAME)
        wallet = self._random.choice(self.truth.wallets)
        held = sorted((asset, one.free) for asset, one in self.truth.state.holdings(wallet).items() if one.free)
        if held and self._random.random() < 0.05:
            asset, free = self._random.choice(held)
            self.venue.truth.withdraw(account, wallet, asset, free)
        else:
            self.desk.step()

    async def _calm(self) -> None:
        """The last fault is over; in half of the stories the desk is not."""
        self._store_now = stores.NONE
        self.venue.calm()
        for _ in range(self._random.choice((0, 0, 1, 3))):
            await asyncio.sleep(self._random.uniform(0.05, 0.6))
            self.desk.step()

    async def _live(self) -> Life:
        life = Life(self.venue, self.venue.account(self._exchange, NAME), self.disk, self._random)
        await life.start()
        return life

    async def _kill(self) -> None:
        self.kills += 1
        for _ in range(self._random.choice((0, 1, 3, 10))):
            await asyncio.sleep(0)
        await self.life.kill()
        await asyncio.sleep(self._random.choice((0.1, 3.0)))
        self.life = await self._live()

    # --- what is told ------------------------------------------------------------------------------------------------

    def _broken(self) -> list[str]:
        found = [] if self.life.died is None else [f"the actor died: {self.life.died!r}"]
        mine = [commit.id for commit in self.life.published]
        logged = [commit.id for commit in self.disk.kept.commits]
        # What an earlier life wrote and did not tell, a broadcaster tells from the log.
        return found if mine == logged[len(logged) - len(mine) :] else [*found, "what was published is not the log"]


def harsher(usual: Faults, factor: float) -> Faults:
    """The same kinds of faults, so many times as often; none more often than every other time."""
    rates = {each.name: getattr(usual, each.name) for each in fields(Faults) if each.name not in LASTING}
    return replace(usual, **{name: min(rate * factor, 0.5) for name, rate in rates.items()})


def held_of(log: Sequence[Commit]) -> dict[Slot, AssetBalance]:
    """What every subscriber holds in the end."""
    return {fact.slot: fact.held for commit in log for fact in commit.facts if isinstance(fact, AssetUpdated)}


def wallets_of(exchange: str) -> tuple[Wallet, ...]:
    return tuple(DIALECTS[exchange].wallets)
