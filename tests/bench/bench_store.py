"""The projector against a bare `insert_many` of the same records, under the same indexes, in turns."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from actors.base import end
from actors.messages import Committed
from actors.positions import Positions
from actors.projector import Projector
from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import BlockHash, BlockRef, Holding, TokenInfo, TxHash
from indexer.domain.recording.records import BalanceRecord, fold
from indexer.domain.telling.commits import Commit
from repositories.database import connect
from repositories.documents.rows import row_of
from repositories.schema import INDEXES
from repositories.store import open_store
from tests.bench.rows import Row
from tests.bench.stage import running_mongod, wallets

RECORDS: Final = 20_000
CASES: Final = ((50, 200), (500, 1_000))
"""Records in a commit, and the balances that they are of."""
ROUNDS: Final = 5
TARGET: Final = 0.6
STREAM: Final = "chain:1"
TOKEN: Final = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
INFO: Final = TokenInfo(6, "USDC", "USD Coin")


async def run(*, quick: bool = False) -> list[Row]:
    rows = []
    async with running_mongod() as url:
        names = (f"store_{number}" for number in itertools.count())
        for size, holdings in CASES:
            commits = _commits(size, holdings)
            ours, floor = [], []
            for _ in range(2 if quick else ROUNDS):
                ours.append(await _projected(url, next(names), commits))
                floor.append(await _inserted(url, next(names), commits))
            us, bare = (RECORDS / statistics.median(times) / 1_000 for times in (ours, floor))
            name = f"store: projector, commits of {size}, {holdings:,} balances"
            rows.append(Row(name, us, bare, us / bare, TARGET, unit="k/s"))
    return rows


async def _projected(url: str, name: str, commits: Sequence[Commit]) -> float:
    """Seconds from the first commit told until queries see all of them."""
    async with open_store(url, name, Path()) as store:
        positions = Positions({STREAM: RECORDS}, {})
        projector = Projector.start(
            ledger=store.commits, books=store.balances, checkpoints=store.checkpoints, positions=positions
        )
        started = time.perf_counter()
        for commit in commits:
            projector.tell(Committed(commit))
        await positions.caught_up()
        seconds = time.perf_counter() - started
        await end(projector, 5)
        return seconds


async def _inserted(url: str, name: str, commits: Sequence[Commit]) -> float:
    """Seconds for the documents alone, which are made beforehand."""
    client, database = connect(url, name, timeout_seconds=5)
    records = database["balance_records"]
    for index in INDEXES:
        if index.collection == "balance_records":
            await records.create_index(list(index.keys), unique=index.unique)
    rows: list[dict[str, Any]] = [row_of(record) for record in _records(commits)]
    started = time.perf_counter()
    for start in range(0, len(rows), 500):
        await records.insert_many(rows[start : start + 500], ordered=False)
    seconds = time.perf_counter() - started
    client.close()
    return seconds


def _records(commits: Sequence[Commit]) -> list[BalanceRecord]:
    return [record for commit in commits for record in fold([commit]).records.values()]


def _commits(size: int, holdings: int) -> list[Commit]:
    """A block each, in which the next so many balances change."""
    watched = itertools.cycle(Holding(TOKEN, wallet) for wallet in wallets(holdings))
    return [
        Commit(
            id=f"{number}",
            stream=STREAM,
            first_seq=number * size + 1,
            time=datetime.now(UTC),
            facts=tuple(_fact(next(watched), number, each) for each in range(size)),
        )
        for number in range(RECORDS // size)
    ]


def _fact(holding: Holding, number: int, each: int) -> BalanceUpdated:
    balance = 10**12 + number * 1_000 + each
    block = BlockRef(number, BlockHash(f"0x{number:064x}"), 1_700_000_000 + number)
    transaction = TxHash(f"0x{number * 10_000 + each:064x}")
    return BalanceUpdated(1, holding, balance - 7, balance, block, "transfer", INFO, (transaction,))
