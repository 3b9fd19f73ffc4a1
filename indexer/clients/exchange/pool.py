"""What all accounts of a venue share: one session, the limiters of the address, one copy of the markets."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import ssl
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import aiohttp
from cachetools import LRUCache

from indexer.clients.exchange.cache import SnapshotCache
from indexer.clients.exchange.dialects.dialect import Dialect, Limits
from indexer.clients.exchange.dialects.told import Exchange
from indexer.clients.exchange.exact import ccxt_class, exact_class
from indexer.clients.exchange.failures import retry_after, translating
from indexer.clients.exchange.leaving import watched
from indexer.clients.exchange.markets import SharedLists, load_beside
from indexer.clients.exchange.nonces import Nonces
from indexer.clients.exchange.throttle import Bucket, Gate, Limit, Throttler
from indexer.domain.accounts.amounts import Wallet
from indexer.errors import Impossible

REQUEST_SECONDS: Final = 10.0
REQUESTS_AT_ONCE: Final = 50
"""To one host; those that wait are answered sooner than they would be by a host that is flooded."""

_TOO_MANY: Final = 429

_BANNED: Final = 418
"""Binance's word for an address that went on asking after it was told not to."""

PING_SECONDS: Final = 3.0
"""How often a socket is pinged; two missed answers are the end of it."""

_SHARED: Final = (
    "api",
    "commonCurrencies",
    "ecdsaCurves",
    "exceptions",
    "features",
    "fees",
    "has",
    "httpExceptions",
    "limits",
    "requiredCredentials",
    "timeframes",
)
"""What every instance has a copy of and none ever changes: two thirds of its memory."""

KNOCK_SECONDS_EACH: Final = 0.15
"""Of 200 streams each asks every 30 s, which is a fifteenth of what binance lets an address ask; of 33 every 5 s."""

MOST_KEYS: Final = 5_000
"""So many budgets and numbers of keys are kept: those asked with last, also of keys that were refused or removed."""

_HOST: Final = re.compile(r"^(https?|wss?)://[^/]+")


class Venues:
    """Makes ccxt instances that cost little more than their credentials."""

    def __init__(self, *, ping_seconds: float = PING_SECONDS, tls: ssl.SSLContext | None = None) -> None:
        self.ping_seconds = ping_seconds
        self.cache = SnapshotCache()
        self._tls = tls or ssl.create_default_context()
        self._session: aiohttp.ClientSession | None = None
        self._sockets: aiohttp.ClientSession | None = None
        self._salt = secrets.token_bytes(32)
        self._buckets: dict[tuple[str, str, str, str], Bucket] = {}
        self._of_keys: LRUCache[tuple[str, str, str, str], Bucket] = LRUCache(MOST_KEYS)
        self._nonces: LRUCache[tuple[str, str, str], Nonces] = LRUCache(MOST_KEYS)
        self._gates: dict[tuple[str, str, str], Gate] = {}
        self._lists = SharedLists()
        self._classes: dict[str, Any] = {}
        self._shared: dict[tuple[str, str], Any] = {}
        self._skews: dict[tuple[str, str], int] = {}
        self._listeners: Counter[tuple[str, str]] = Counter()

    def mark(self, credentials: Mapping[str, str]) -> str:
        """Which they are, and nothing that tells them: what is kept by them may stay longer than they may."""
        told = "\0".join(f"{name}\0{value}" for name, value in sorted(credentials.items()))
        return hashlib.blake2b(told.encode(), key=self._salt, digest_size=16).hexdigest()

    def exchange(
        self, dialect: Dialect, credentials: Mapping[str, str], *, base_url: str = "", sandbox: bool = False
    ) -> Exchange:
        """One account's ccxt instance: what it asks is counted for the address and for its key."""
        made = self._made(dialect, credentials, self._shared_session(), base_url=base_url, sandbox=sandbox)
        made.throttler = self._throttler(made, dialect, base_url, credentials)
        numbered = (dialect.exchange, base_url, self.mark({"key": _key(credentials)}))
        made.nonces = self._nonces.setdefault(numbered, Nonces())
        made.skew = lambda: self._skews.get((dialect.exchange, base_url), 0)
        made.sockets = self._socket_session()
        made.answered = partial(self._answered, _limits(made, dialect), dialect, base_url)
        return made

    @contextmanager
    def listening(self, dialect: Dialect, base_url: str) -> Iterator[None]:
        """While a stream of the venue is listened to."""
        self._listeners[dialect.exchange, base_url] += 1
        try:
            yield
        finally:
            self._listeners[dialect.exchange, base_url] -= 1

    def knock_seconds(self, dialect: Dialect, base_url: str, wallet: Wallet) -> float:
        """After how much silence a stream is asked whether it is there; 0 where its pings say it all.

        Where questions weigh on what the address may ask, many streams ask less often each.
        """
        shortest = dialect.wallets[wallet].knock_seconds
        if not shortest or dialect.limits is None or dialect.limits.address is None:
            return shortest
        return max(shortest, self._listeners[dialect.exchange, base_url] * KNOCK_SECONDS_EACH)

    async def synchronise(self, exchange: Exchange, dialect: Dialect, base_url: str) -> None:
        """How far the venue's clock is ahead of ours, for all its accounts."""
        key, clock = (dialect.exchange, base_url), asyncio.get_running_loop().time
        with watched() as moments:
            began = clock()
            told = await exchange.fetch_time()
            under_way = clock() - (moments[-1] if moments else began)
        # By our own clock: another account may have set the venue's meanwhile.
        ours = exchange.milliseconds() - self._skews.get(key, 0)
        self._skews[key] = int(told) - int(ours - under_way * 500)

    async def with_markets(
        self,
        exchange: Exchange,
        dialect: Dialect,
        base_url: str,
        *,
        sandbox: bool = False,
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        """The venue's lists, loaded once for all accounts; with an account's key where nobody else is told them."""
        own = dict(credentials or {}) if dialect.lists_need_key else {}
        load = partial(self._load, dialect, base_url, sandbox, own)
        venue = (dialect.exchange, base_url, sandbox)
        with translating(exchange):
            await self._lists.of(venue, load, key=self.mark(own))
        self._lists.lend(venue, exchange, load)

    async def close(self) -> None:
        await self.cache.close()
        await self._lists.close()
        for session in (self._session, self._sockets):
            if session is not None:
                await session.close()

    async def _load(self, dialect: Dialect, base_url: str, sandbox: bool, credentials: Mapping[str, str]) -> Exchange:
        plain, loop = self._class(dialect.exchange)(), asyncio.get_running_loop()
        answered = partial(self._answered, _limits(plain, dialect), dialect, base_url)

        def make(session: aiohttp.ClientSession) -> Exchange:
            made = self._made(dialect, credentials, session, base_url=base_url, sandbox=sandbox)
            made.answered = partial(loop.call_soon_threadsafe, answered)
            return made

        throttler = self._throttler(plain, dialect, base_url, credentials)
        loaded = await load_beside(make, throttler)
        if not credentials:
            return loaded
        # It stays for as long as the service runs, and the account with its key may not.
        bare = self._made(dialect, {}, self._shared_session(), base_url=base_url, sandbox=sandbox)
        bare.set_markets_from_exchange(loaded)
        return bare

    def _made(
        self,
        dialect: Dialect,
        credentials: Mapping[str, str],
        session: aiohttp.ClientSession,
        *,
        base_url: str,
        sandbox: bool = False,
    ) -> Exchange:
        made = self._class(dialect.exchange)(
            {
                **credentials,
                "number": str,
                "session": session,
                "asyncio_loop": asyncio.get_running_loop(),
                "timeout": int(REQUEST_SECONDS * 1000),
                "enableRateLimit": True,
                # Frames of balances are short: packing them saves nothing, and its tables take 240 KB a socket.
                "options": {"ws": {"compress": 0}, **dialect.options},
            }
        )
        for name in _SHARED:
            setattr(made, name, self._shared.setdefault((dialect.exchange, name), getattr(made, name)))
        # Each would read all certificates anew, for nothing (700 KB, 20 ms): the session's are used.
        made.ssl_context = self._tls
        # ccxt waits for its own session to be gone, a quarter of a second for each instance; ours is shared.
        made.timeout_on_exit = 0
        if sandbox:
            made.set_sandbox_mode(True)
        if base_url:
            made.urls["api"] = _redirected(made.urls["api"], base_url)
        made.streaming = {**made.streaming, "keepAlive": int(self.ping_seconds * 1000)}
        return made

    def _throttler(
        self, exchange: Exchange, dialect: Dialect, base_url: str, credentials: Mapping[str, str]
    ) -> Throttler:
        limits, usual = _limits(exchange, dialect), _usual(exchange)
        venue = (dialect.exchange, base_url)
        key = _key(credentials)
        mark = self.mark({"key": key})

        def buckets(family: str) -> Iterator[Bucket]:
            own = limits.families.get(family, limits)
            gate = self._gate((*venue, dialect.part(family)))
            # What needs no key is counted for the address everywhere.
            if own.address:
                yield self._bucket((*venue, family, "address"), own.address, gate)
            elif not key:
                yield self._bucket((*venue, family, "public"), usual, gate)
            if own.key and key:
                yield self.budget_of_key((*venue, family, mark), own.key, gate)

        return Throttler(dialect.weighed, buckets)

    def _answered(
        self, limits: Limits, dialect: Dialect, base_url: str, url: str, status: int, headers: Mapping[str, str]
    ) -> None:
        """What one account is told goes for all of them: how much is used, and that the venue wants a pause."""
        venue, own = (dialect.exchange, base_url), dialect.family(url)
        used = dialect.used(url, headers)
        address = limits.families.get(own, limits).address
        if used is not None and address is not None:
            self._bucket((*venue, own, "address"), address, self._gate((*venue, dialect.part(own)))).told(used)
        pause = retry_after(headers) if status in (_TOO_MANY, _BANNED) else None
        if pause:
            for family in {*limits.families, ""} if status == _BANNED else {own}:
                self._gate((*venue, dialect.part(family))).close(pause)

    def budget_of_key(self, name: tuple[str, str, str, str], limit: Limit, gate: Gate) -> Bucket:
        if name not in self._of_keys:
            self._of_keys[name] = Bucket(limit, gate)
        return self._of_keys[name]

    def _bucket(self, name: tuple[str, str, str, str], limit: Limit, gate: Gate) -> Bucket:
        if name not in self._buckets:
            self._buckets[name] = Bucket(limit, gate)
        return self._buckets[name]

    def _gate(self, name: tuple[str, str, str]) -> Gate:
        return self._gates.setdefault(name, Gate())

    def _class(self, name: str) -> Any:
        if name not in self._classes:
            base = ccxt_class(name)
            if base is None:
                raise Impossible(f"there is no exchange {name!r}", "exchange")
            self._classes[name] = exact_class(base)
        return self._classes[name]

    def _shared_session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(
                limit=200, limit_per_host=REQUESTS_AT_ONCE, keepalive_timeout=60, ssl=self._tls
            )
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    def _socket_session(self) -> aiohttp.ClientSession:
        """A websocket holds its connection for as long as it is open: among requests, 50 of them would stop all."""
        if self._sockets is None or self._sockets.closed:
            self._sockets = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=self._tls))
        return self._sockets


def _limits(exchange: Exchange, dialect: Dialect) -> Limits:
    usual = _usual(exchange)
    return dialect.limits or Limits(key=usual, address=usual)


def _key(credentials: Mapping[str, str]) -> str:
    return credentials.get("apiKey") or credentials.get("walletAddress") or ""


def _usual(exchange: Exchange) -> Limit:
    """Ccxt counts in units of `rateLimit` milliseconds each, its reading of the venue's own rules."""
    return Limit(1000 / float(exchange.rateLimit), 1.0)


def _redirected(urls: Any, base: str) -> Any:
    """The same paths at another host."""
    if isinstance(urls, Mapping):
        return {name: _redirected(each, base) for name, each in urls.items()}
    if not isinstance(urls, str):
        return urls
    root = base.rstrip("/")
    return _HOST.sub(root.replace("http", "ws", 1) if urls.startswith("ws") else root, urls)
