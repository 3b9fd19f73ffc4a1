"""A venue of many languages on a loopback port, whose truth, lies and clock are in the caller's hands."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from indexer.demo.venue.dialects import DIALECTS
from indexer.demo.venue.dialects.base import Desk
from indexer.demo.venue.faults import NONE, Dice, Faults
from indexer.demo.venue.keys import Keys
from indexer.demo.venue.markets import Markets
from indexer.demo.venue.server import Server
from indexer.demo.venue.sockets import Sockets
from indexer.demo.venue.state import Account, Amounts
from indexer.demo.venue.truth import Truth
from indexer.demo.venue.weights import Weights


class Venue:
    """Runs in the loop of whoever enters it; several may live side by side."""

    def __init__(
        self,
        *dialects: str,
        seed: int = 1,
        faults: Faults = NONE,
        markets: int = 30,
        clock: Callable[[], float] = time.time,
        on_port: bool = True,
    ) -> None:
        names = dialects or tuple(DIALECTS)
        unknown = [name for name in names if name not in DIALECTS]
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: the venue speaks {', '.join(DIALECTS)}")
        self.weights = Weights()
        self.sockets = Sockets()
        self.truth = Truth(now_ms=self.now_ms, margin_wallets={name: DIALECTS[name].margin_wallet for name in names})
        self._clock = clock
        self._on_port = on_port
        self._shift_ms = 0
        self._keys = Keys(seed)
        self._dice = Dice(seed, faults)
        self._endings: set[asyncio.Task[None]] = set()
        desk = Desk(self.truth, self._keys, Markets(markets), self.weights, self.now_ms)
        self._dialects = {name: DIALECTS[name](desk) for name in names}
        self._server = Server(
            dialects=self._dialects,
            truth=self.truth,
            weights=self.weights,
            dice=self._dice,
            sockets=self.sockets,
            now=lambda: self.now_ms() / 1000,
            expire=self.expire_key,
        )
        self.truth.listen(self.sockets.tell)

    async def __aenter__(self) -> Self:
        await self._server.start(on_port=self._on_port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for ending in self._endings:
            ending.cancel()
        await asyncio.gather(*self._endings, return_exceptions=True)
        await self._server.stop()

    @property
    def faults(self) -> Faults:
        return self._dice.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._dice.faults = faults

    @property
    def injected(self) -> Counter[str]:
        """How often each fault struck."""
        return self._dice.injected

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """How often each (dialect, path) was asked."""
        return self._server.requests

    def now_ms(self) -> int:
        """The venue's own time."""
        return int(self._clock() * 1000) + self._shift_ms

    def url(self, dialect: str) -> str:
        """What replaces scheme, host and port of every address of that venue."""
        return f"http://127.0.0.1:{self._server.port}/{self._dialects[dialect].name}"

    def protocol(self) -> asyncio.Protocol:
        """The venue's end of a connection over whatever transport the caller has: nothing needs a port then."""
        return self._server.protocol()

    def wallets(self, dialect: str) -> tuple[str, ...]:
        return self._dialects[dialect].wallets

    def margin_wallet(self, dialect: str) -> str:
        """Where the margin of positions lies; empty where there are none."""
        return self._dialects[dialect].margin_wallet

    def cash(self, dialect: str) -> str:
        """The asset that positions settle in and coins are bought with."""
        return self._dialects[dialect].cash

    def account(self, dialect: str, name: str = "main", permissions: Iterable[str] = ("read",)) -> Account:
        """The account of that name with its current key, made when it is asked for first."""
        exchange = self._dialects[dialect].name
        account = self._keys.current(exchange, name) or self._keys.issue(exchange, name, permissions)
        self.truth.open(account)
        return account

    def new_key(self, account: Account, permissions: Iterable[str] | None = None) -> Account:
        """Another key for the same account; the last one is void."""
        self.expire_key(account)
        granted = account.permissions if permissions is None else permissions
        return self._keys.issue(account.exchange, account.name, granted)

    def expire_key(self, account: Account) -> None:
        """The key opens nothing any more, and its sockets are ended."""
        self._keys.expire(account)
        ending = asyncio.get_running_loop().create_task(self.sockets.end(account))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    def restore_key(self, account: Account) -> None:
        """It was only locked."""
        self._keys.restore(account)

    def oracle(self, account: Account) -> dict[str, dict[str, Amounts]]:
        """What the account really holds, wallet by wallet."""
        return self.truth.oracle(account)

    def once(self, fault: str, path: str = "", times: int = 1) -> None:
        """The next requests whose path contains this have this fault for certain."""
        self._dice.script(fault, path, times)

    def calm(self) -> None:
        """Honest from now on; what was muted talks again."""
        self._dice.faults = NONE
        self._dice.forget()
        self.sockets.unmute()
        self.sockets.admit()

    def shift_clock(self, milliseconds: int) -> None:
        """The venue's clock runs so far ahead of the real one (behind, when negative)."""
        self._shift_ms = milliseconds
