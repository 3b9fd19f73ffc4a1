"""One account at its exchange: its wallets read over REST, its changes heard over websockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from indexer.clients.exchange.arriving import arrivals_of
from indexer.clients.exchange.dialects.dialect import Dialect
from indexer.clients.exchange.dialects.told import Exchange, Placed, Told
from indexer.clients.exchange.failures import translating
from indexer.clients.exchange.leaving import watched
from indexer.clients.exchange.listening import Ear
from indexer.clients.exchange.pausing import pause_after
from indexer.clients.exchange.pool import Venues
from indexer.clients.exchange.throttle import patient
from indexer.clients.exchange.turns import pressing
from indexer.clients.exchange.wordless import Wordless, tells_its_time
from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.arrivals import (
    Arrival,
    FundingsSeen,
    Permissions,
    PositionsSeen,
    Snapshot,
    StreamAlive,
    StreamLost,
    StreamOpened,
)
from indexer.errors import (
    BadAnswer,
    BadCredentials,
    ClockApart,
    IndexerError,
    RefusedWithoutAWord,
    VenueUnreachable,
)

POSITIONED: Final[frozenset[Wallet]] = frozenset({"futures", "unified", "options", "portfolio"})
"""Wallets in which positions are held."""

Answer = TypeVar("Answer")


class ExchangeAccount:
    """What `actors.accounts` calls a venue. Every call of ccxt goes through `translating`."""

    def __init__(
        self,
        dialect: Dialect,
        venues: Venues,
        credentials: Mapping[str, str],
        wallets: tuple[Wallet, ...],
        *,
        base_url: str = "",
        sandbox: bool = False,
        jitter: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._dialect = dialect
        self._venues = venues
        self._credentials = dict(credentials)
        self._base_url = base_url
        self.endpoint = _host(base_url) or dialect.exchange
        self._sandbox = sandbox
        self._jitter = jitter
        self._now = now
        self._rest: Exchange = None
        self._wordless = Wordless()
        self._ears: dict[Wallet, Ear] = {}
        self._left: dict[Wallet, list[float]] = {}
        """When the requests left of each read that is under way."""
        self.wallets = wallets
        self.streamed = frozenset(wallet for wallet in wallets if dialect.wallets[wallet].is_streamed)
        # Not those of Binance's coin-margined wallet, of which ccxt asks apart.
        derivatives = POSITIONED & set(wallets)
        self.has_positions = dialect.has_positions and bool(derivatives)
        self.has_fundings = dialect.has_fundings and bool(derivatives)

    # --- asking ------------------------------------------------------------------------------------------------------

    async def read(self, wallet: Wallet, presses: Callable[[], bool] = lambda: False) -> Snapshot:
        with watched() as left, pressing(presses):
            began = _clock()
            self._left[wallet] = left
            try:
                found = await self._ask(lambda exchange: self._dialect.read(exchange, wallet))
            finally:
                self._left.pop(wallet, None)
        kind = self._dialect.wallets[wallet]
        return Snapshot(
            wallet=wallet,
            amounts=found.amounts,
            measure=kind.measure,
            source="rest",
            asked=left[0] if left else began,
            received=_clock(),
            time=self._now(),
            venue_time=found.venue_time,
            complete=found.complete,
            times=found.times,
        )

    def believed(self, snapshot: Snapshot) -> None:
        """That answer is one: who asks again soon has it. One that is not believed answers nobody."""
        self._venues.cache.keep(snapshot, self._cached_as(snapshot.wallet))

    def waits_for_turn(self) -> bool:
        """Whether a read of some wallet is under way that did not leave yet."""
        return any(not left for left in self._left.values())

    async def recent(self, wallet: Wallet, max_age_seconds: float, renew: Callable[[], Awaitable[object]]) -> Snapshot:
        """What was read not longer ago than this; where there is nothing, `renew` has it read, once for all who ask."""
        key = self._cached_as(wallet)

        async def read() -> Snapshot:
            await renew()
            kept = self._venues.cache.kept(key)
            if kept is None:
                raise VenueUnreachable(f"the {wallet} wallet was not read")
            return kept

        return await self._venues.cache.recent(key, max_age_seconds, read)

    def _cached_as(self, wallet: Wallet) -> tuple[object, ...]:
        return (self._dialect.exchange, self._base_url, self._sandbox, self._venues.mark(self._credentials), wallet)

    async def positions(self) -> PositionsSeen:
        asked = _clock()
        with patient():
            found = await self._ask(self._dialect.positions, markets=True)
        return _seen(found, PositionsSeen("futures", (), asked, _clock(), self._now()))

    async def fundings(self, since: datetime | None) -> FundingsSeen:
        with patient():
            return await self._ask(lambda exchange: self._dialect.fundings(exchange, since), markets=True)

    async def permissions(self) -> Permissions:
        """Try the key: `BadCredentials` when it is none."""
        with pressing(lambda: True):  # somebody waits for it
            return await self._ask(self._dialect.permissions, is_trial=True)

    async def close(self) -> None:
        if self._rest is not None:
            await self._rest.close()

    async def _ask(
        self, question: Callable[[Exchange], Awaitable[Answer]], *, markets: bool = False, is_trial: bool = False
    ) -> Answer:
        """A refused key is one, however little the venue says: on trial at once, and else when it says so for long."""
        try:
            answer = await self._answer(question, markets=markets)
        except RefusedWithoutAWord as error:
            if (self._wordless.one_more(_clock()) or is_trial) and await tells_its_time(self._rest):
                raise BadCredentials(f"{error}, while what needs no key is answered") from None
            raise
        except IndexerError:
            self._wordless.over()
            raise
        self._wordless.over()
        return answer

    async def _answer(self, question: Callable[[Exchange], Awaitable[Answer]], *, markets: bool) -> Answer:
        """One question; a second time when our clock was to blame for the answer."""
        exchange = await self._connected(markets=markets)
        try:
            with translating(exchange):
                return await question(exchange)
        except ClockApart:
            with translating(exchange):
                await self._venues.synchronise(exchange, self._dialect, self._base_url)
                return await question(exchange)

    async def _connected(self, *, markets: bool) -> Exchange:
        if self._rest is None:
            self._rest = self._make()
        if (markets or self._dialect.needs_markets) and not self._rest.markets:
            await self._with_markets(self._rest)
        return self._rest

    async def _with_markets(self, exchange: Exchange) -> None:
        await self._venues.with_markets(
            exchange, self._dialect, self._base_url, sandbox=self._sandbox, credentials=self._credentials
        )

    def _make(self) -> Exchange:
        return self._venues.exchange(self._dialect, self._credentials, base_url=self._base_url, sandbox=self._sandbox)

    # --- hearing -----------------------------------------------------------------------------------------------------

    async def listen(self, on_arrival: Callable[[Arrival], None]) -> None:
        """Every streamed wallet over a ccxt instance of its own: some venues mix them up in one."""
        open_now: set[Wallet] = set()
        async with asyncio.TaskGroup() as group:
            for wallet in self.wallets:
                if wallet in self.streamed:
                    group.create_task(self._follow(wallet, open_now, on_arrival), name=f"{self.endpoint} {wallet}")

    def reopen(self, reason: str) -> None:
        for ear in self._ears.values():
            ear.give_up(reason)

    def tell_again(self, wallet: Wallet) -> None:
        if wallet in self._ears:
            self._ears[wallet].tell_again()

    async def _follow(self, wallet: Wallet, open_now: set[Wallet], on_arrival: Callable[[Arrival], None]) -> None:
        """A connection after the other, each with a fresh ccxt instance: its state is thrown away with it."""
        failures, is_apart = 0, False

        def opened() -> None:
            nonlocal failures
            failures = 0
            open_now.add(wallet)
            on_arrival(StreamOpened(frozenset(open_now)))

        def heard(told: Told) -> None:
            for arrival in self._arrivals(wallet, told):
                on_arrival(arrival)

        while True:
            exchange = self._make()
            ear = Ear(
                self._dialect,
                wallet,
                exchange,
                opened,
                heard,
                lambda: on_arrival(StreamAlive()),
                ping_seconds=self._venues.ping_seconds,
                knock_seconds=partial(self._venues.knock_seconds, self._dialect, self._base_url, wallet),
                positions=self.has_positions and wallet in POSITIONED,
            )
            self._ears[wallet] = ear
            try:
                if is_apart:
                    with translating(exchange):
                        await self._venues.synchronise(exchange, self._dialect, self._base_url)
                if self._dialect.needs_markets:
                    await self._with_markets(exchange)
                else:
                    exchange.markets = {}  # frames tell codes; ccxt would load every list for nothing
                with self._venues.listening(self._dialect, self._base_url):
                    await ear.listen()
            except IndexerError as error:
                if wallet in open_now or not failures:
                    open_now.discard(wallet)
                    on_arrival(StreamLost(str(error), frozenset(open_now)))
                why, is_apart = error, isinstance(error, ClockApart)
            finally:
                await exchange.close()
            failures += 1
            await asyncio.sleep(pause_after(why, failures, self._jitter()))

    def _arrivals(self, wallet: Wallet, told: Told) -> list[Arrival]:
        now, time = _clock(), self._now()
        found = arrivals_of(wallet, self._dialect.wallets[wallet], told, now, time)
        if told.positions is not None:
            seen = PositionsSeen(
                wallet, (), now, now, time, complete=told.whole, source="stream", venue_time=told.venue_time
            )
            found += self._positions_told(told.positions, seen)
        return found

    def _positions_told(self, rows: tuple[Mapping[str, Any], ...], seen: PositionsSeen) -> list[Arrival]:
        """Their names are those of the lists that come with the first read; until then there is nothing to change."""
        if not self.has_positions or self._rest is None or not self._rest.markets:
            return []
        try:
            with translating():
                found = [self._dialect.position(self._rest, row) for row in rows]
        except BadAnswer:  # the next read tells; what the same stream says of balances is worth more
            return []
        if seen.complete or any(found):
            return [_seen((each for each in found if each is not None), seen)]
        return []


def _host(url: str) -> str:
    """Host and port alone: whatever else stands in a URL may be a secret."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _seen(found: Iterable[Placed], bare: PositionsSeen) -> PositionsSeen:
    """With when the venue changed each of them."""
    listed = tuple(found)
    times = {each.position.symbol: each.time for each in listed if each.time is not None}
    return replace(bare, positions=tuple(each.position for each in listed), times=times)
