"""The same calls for other threads: each waits for its answer from the loop that the service runs in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from indexer.app.desk import AssetHeld, CurrentRecord, Desk
from indexer.config import Settings
from indexer.domain.accounts.amounts import AccountKey, Wallet
from indexer.domain.accounts.arrivals import Funding
from indexer.domain.accounts.records import AccountRecord, PositionRecord
from indexer.domain.accounts.stats import AssetStats
from indexer.domain.health.status import StreamStatus
from indexer.domain.measuring.stats import Statistics
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.telling.commits import Event
from indexer.errors import Stopped

if TYPE_CHECKING:
    from indexer.app.library import Indexer

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


class SyncFace:
    """A running `Indexer` for other threads: what `Indexer.sync` gives."""

    def __init__(self, indexer: Indexer, loop: asyncio.AbstractEventLoop) -> None:
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


class SyncIndexer:
    """`with SyncIndexer(settings) as indexer:` runs the whole service in a thread, for programs without a loop."""

    def __init__(self, settings: Settings, *, serve: bool = False) -> None:
        self._settings = settings
        self._serve = serve
        self._stop: Callable[[], object] = lambda: None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> SyncFace:
        started: Future[SyncFace] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="indexer", daemon=True)
        self._thread.start()
        return started.result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if self._thread is not None:
            self._thread.join()

    def _run(self, started: Future[SyncFace]) -> None:
        try:
            asyncio.run(self._live(started))
        except BaseException as error:
            # The boundary of the thread: whoever started it is told, as long as it still waits for that.
            if started.done():
                raise
            started.set_exception(error)

    async def _live(self, started: Future[SyncFace]) -> None:
        from indexer.app.library import Indexer  # noqa: PLC0415 - it makes us, too

        loop, stopped = asyncio.get_running_loop(), asyncio.Event()

        def stop() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(stopped.set)

        async with Indexer(self._settings, serve=self._serve) as indexer:
            self._stop = stop
            started.set_result(indexer.sync())
            ends = [asyncio.ensure_future(end) for end in (stopped.wait(), indexer.finished())]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
