"""The same calls for other threads: each waits for its answer from the loop that the service runs in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from indexer.app.desk import AssetHeld, CurrentRecord, Desk
from indexer.app.listeners import Callback, Unlisten
from indexer.domain.accounts.amounts import AccountKey, Wallet
from indexer.domain.accounts.arrivals import Funding
from indexer.domain.accounts.records import AccountRecord, PositionRecord
from indexer.domain.accounts.registry import Account
from indexer.domain.accounts.stats import AssetStats
from indexer.domain.health.status import StreamStatus
from indexer.domain.measuring.stats import Statistics
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.telling.commits import Event
from indexer.errors import Stopped

SECONDS: Final = 60.0
"""How long a call waits at most; `TimeoutError` then, and the question is withdrawn."""

Answer = TypeVar("Answer")
Heard = Callable[[Event], object]


class Threads:
    """Hands questions over to the loop; safe from any number of threads, of which the loop's own must not be one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()

    def ask(self, question: Coroutine[Any, Any, Answer], seconds: float = SECONDS) -> Answer:
        if threading.get_ident() == self._thread:
            question.close()
            raise RuntimeError("this is the thread of the event loop: it would wait for itself; await the other calls")
        try:
            asked = asyncio.run_coroutine_threadsafe(question, self._loop)
        except RuntimeError:  # its loop is closed
            question.close()
            raise Stopped("the indexer has stopped, and the loop that it ran in") from None
        try:
            return asked.result(seconds)
        except CancelledError:
            raise Stopped("the indexer stopped before it had an answer") from None
        finally:
            asked.cancel()  # nothing where it is answered

    def listen(
        self, add: Callable[[Callable[[Event], Any]], Callable[[], None]], callback: Heard
    ) -> Callable[[], None]:
        """Call back in a thread: one event after the other, and the loop never waits for it."""

        async def hand_over(event: Event) -> None:
            await asyncio.to_thread(callback, event)

        async def begin() -> Callable[[], None]:
            return add(hand_over)

        unlisten = self.ask(begin())

        def stop() -> None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(unlisten)

        return stop


class SyncDesk:
    """One exchange account for threads; every call is that of `Desk`."""

    def __init__(self, desk: Desk, threads: Threads) -> None:
        self._desk = desk
        self._threads = threads
        self.key = desk.key

    def get_balance(self, asset: str, wallet: Wallet | None = None) -> AssetHeld | None:
        return self._threads.ask(self._desk.get_balance(asset, wallet))

    def balances(self, wallet: Wallet | None = None) -> Sequence[CurrentRecord]:
        return self._threads.ask(self._desk.balances(wallet))

    def refresh(self, *wallets: Wallet) -> Sequence[CurrentRecord]:
        return self._threads.ask(self._desk.refresh(*wallets))

    def history(
        self,
        wallet: Wallet,
        asset: str,
        *,
        limit: int = 100,
        before: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Sequence[AccountRecord]:
        return self._threads.ask(self._desk.history(wallet, asset, limit=limit, before=before, start=start, end=end))

    def stats(
        self, wallet: Wallet, asset: str, *, start: datetime | None = None, end: datetime | None = None
    ) -> Statistics[AssetStats]:
        return self._threads.ask(self._desk.stats(wallet, asset, start=start, end=end))

    def positions(self) -> Sequence[PositionRecord]:
        return self._threads.ask(self._desk.positions())

    def fundings(
        self,
        *,
        limit: int = 100,
        before: datetime | Funding | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Sequence[Funding]:
        return self._threads.ask(self._desk.fundings(limit=limit, before=before, start=start, end=end))

    def status(self) -> StreamStatus:
        async def status() -> StreamStatus:
            return self._desk.status()

        return self._threads.ask(status())

    def balance_update(self, callback: Heard) -> Callable[[], None]:
        """Call back in a thread of its own for every new amount."""
        return self._threads.listen(self._desk.balance_update, callback)

    def balance_change(self, callback: Heard) -> Callable[[], None]:
        """The same, only where a balance moved beyond the threshold."""
        return self._threads.listen(self._desk.balance_change, callback)


class Accounts(Protocol):
    """Those that are followed."""

    def all(self) -> Sequence[Account]: ...


class Running(Protocol):
    """A running `Indexer`, as far as it is asked here."""

    @property
    def accounts(self) -> Accounts: ...

    async def ready(self) -> None: ...

    def account(self, exchange: str, name: str) -> Desk: ...

    async def current_balance(self, chain: str | int, token: str, solver: str) -> BalanceRecord | None: ...

    async def history(
        self, chain: str | int, token: str, solver: str, *, limit: int = 100, before: int | None = None
    ) -> Sequence[BalanceRecord]: ...

    def listen(self, callback: Callback, type: str | None = "balance.updated") -> Unlisten: ...  # noqa: A002 - as there


class SyncFace:
    """A running `Indexer` for other threads: what `Indexer.sync` gives."""

    def __init__(self, indexer: Running, loop: asyncio.AbstractEventLoop) -> None:
        self._indexer = indexer
        self._threads = Threads(loop)

    def ready(self, seconds: float = SECONDS) -> None:
        self._threads.ask(self._indexer.ready(), seconds)

    def account(self, exchange: str, name: str) -> SyncDesk:
        async def desk() -> Desk:
            return self._indexer.account(exchange, name)

        return SyncDesk(self._threads.ask(desk()), self._threads)

    def accounts(self) -> Sequence[AccountKey]:
        async def keys() -> Sequence[AccountKey]:
            return [account.key for account in self._indexer.accounts.all()]

        return self._threads.ask(keys())

    def current_balance(self, chain: str | int, token: str, solver: str) -> BalanceRecord | None:
        return self._threads.ask(self._indexer.current_balance(chain, token, solver))

    def history(
        self, chain: str | int, token: str, solver: str, *, limit: int = 100, before: int | None = None
    ) -> Sequence[BalanceRecord]:
        return self._threads.ask(self._indexer.history(chain, token, solver, limit=limit, before=before))

    def listen(self, callback: Heard, type: str | None = "balance.updated") -> Callable[[], None]:  # noqa: A002 - its name on the wire
        """Call back in a thread of its own for every event of this type; None means all."""
        return self._threads.listen(lambda heard: self._indexer.listen(heard, type), callback)
