"""Opens the store that a URL names, and closes it: one set of repositories over three kinds of server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from indexer.errors import StoreUnavailable, StoreUnusable
from repositories.account_list import AccountList
from repositories.accounts import AccountBooks
from repositories.backfills import BackfillBook
from repositories.balances import BalanceBook
from repositories.books import Books
from repositories.chains import ChainBook
from repositories.checkpoints import Checkpoints
from repositories.commits import CommitLog
from repositories.coverage import Coverage
from repositories.data_folder import full_disk, locked
from repositories.database import Database, StoreKind, connect, connect_memory, disconnect
from repositories.direct import direct_inserts
from repositories.failures import masked
from repositories.followings import Followings
from repositories.mongod import Mongod, find_mongod
from repositories.published import Published
from repositories.schema import prepare
from repositories.tokens import TokenBook
from repositories.watchlist import Watchlist


class Store:
    """Everything that is remembered; `epoch` was made with the store, so that event ids outlive a wiped one."""

    def __init__(
        self, kind: StoreKind, epoch: str, database: Database, gone: Callable[[], bool] = lambda: False
    ) -> None:
        self.kind = kind
        self.epoch = epoch
        self.commits = CommitLog(database)
        self.checkpoints = Checkpoints(database)
        self.balances = BalanceBook(database)
        self.accounts = AccountBooks(database)
        self.backfills = BackfillBook(database)
        self.coverage = Coverage(database)
        self.books = Books(self.balances, self.accounts, self.backfills, self.coverage)
        self.published = Published(database)
        self.account_list = AccountList(database)
        self.followings = Followings(database)
        self.watchlist = Watchlist(database)
        self.tokens = TokenBook(database)
        self.chains = ChainBook(database)
        self._database = database
        self._gone = gone

    async def ping(self) -> None:
        """Returns when the store answers; `StoreUnavailable` when it does not, `StoreUnusable` when it never will."""
        if self._gone():
            raise StoreUnusable(
                "the embedded mongod is not started any more: it died again and again (see its log), "
                "or a mistake ended what watches it (see ours)"
            )
        await self._database.ping()


@asynccontextmanager
async def open_store(url: str, database: str, data_dir: Path, *, timeout_seconds: float = 5.0) -> AsyncIterator[Store]:
    """`url` is `embedded`, `memory` or `mongodb://…`; `data_dir` holds the data of an embedded one."""
    if url == "memory":
        memory = connect_memory(database)
        yield Store("memory", await prepare(memory), memory)
    elif url.startswith(("mongodb://", "mongodb+srv://")):
        async with _connected("mongodb", url, database, timeout_seconds) as store:
            yield store
    elif url == "embedded":
        program = find_mongod()
        async with AsyncExitStack() as stack:
            stack.enter_context(locked(data_dir))
            try:
                mongod = await stack.enter_async_context(_started(Mongod(program, data_dir)))
                store = await stack.enter_async_context(
                    _connected("embedded", mongod.url, database, timeout_seconds, lambda: mongod.given_up)
                )
            except (StoreUnavailable, StoreUnusable) as error:
                raise type(error)(f"{error}{full_disk(data_dir)}") from error
            yield store
    else:
        raise StoreUnusable(f"store.url {masked(url)!r} is none of embedded, memory, mongodb://host:port")


@asynccontextmanager
async def _started(mongod: Mongod) -> AsyncIterator[Mongod]:
    try:
        await mongod.start()
        yield mongod
    finally:
        await mongod.stop()


@asynccontextmanager
async def _connected(
    kind: StoreKind, url: str, name: str, timeout_seconds: float, gone: Callable[[], bool] = lambda: False
) -> AsyncIterator[Store]:
    client, database = connect(url, name, timeout_seconds=timeout_seconds)
    direct = direct_inserts(url, name)
    try:
        try:
            database = await database.recognized()
            if not database.in_set:
                database = replace(database, direct=direct)
            epoch = await prepare(database)
        except StoreUnavailable as error:
            raise StoreUnavailable(f"store.url {masked(url)}: {error}") from error
        except StoreUnusable as error:
            raise StoreUnusable(f"store.url {masked(url)}: {error}") from error
        yield Store(kind, epoch, database, gone)
    finally:
        if direct is not None:
            direct.close()
        await disconnect(client)
