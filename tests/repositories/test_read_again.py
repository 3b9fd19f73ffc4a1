"""A block that is read again, and says something else: one record tells of all that happened in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.domain.balances import BalanceUpdated, Cause
from indexer.domain.chain import NATIVE, Address, Holding, Transfer, TxHash
from indexer.domain.recording.records import BalanceRecord, fold
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, Checkpoint, Orphaned
from repositories.store import Store
from tests.repositories.samples import TIME, USDC, block_hash, head_at, solver_at, updated

OURS = Holding(USDC, solver_at(0))
TX = TxHash(block_hash(5, "e"))
LOG = Transfer(Address(USDC), solver_at(9), solver_at(0), 500, block_hash(5), TX, 7, 5)


def commit_of(seq: int, *facts: BalanceUpdated | BalanceReverted, number: int = 5) -> Commit:
    return Commit(f"c{seq}", "chain:1", seq, TIME, facts, Checkpoint(head_at(number)))


def reading(
    before: int | None, balance: int, cause: Cause, *, number: int = 5, holding: Holding = OURS
) -> BalanceUpdated:
    fact = replace(updated(number, balance=balance), holding=holding, previous=before, cause=cause)
    return replace(fact, transactions=())


async def projected(store: Store, commits: list[Commit], how: str) -> list[BalanceRecord]:
    """All at once, one after the other, or so and then once more from each, as after a crash."""
    parts = [commits] if how == "at once" else [[commit] for commit in commits]
    if how == "repeated":
        parts += [commits[start:] for start in range(len(commits))] + parts
    for part in parts:
        await store.balances.project(fold(part))
    return list(await store.balances.history(1, commits[0].facts[0].holding, limit=9))  # type: ignore[union-attr]


HOW = pytest.mark.parametrize("how", ["at once", "one by one", "repeated"])


@HOW
async def test_what_was_read_later_adds_to_what_the_block_had_changed_already(store: Store, how: str) -> None:
    moved = replace(reading(100, 600, "transfer"), transfers=(LOG,), transactions=(TX,), unexplained=0)
    again = replace(reading(600, 607, "refresh"), unexplained=7)
    first = commit_of(1, reading(None, 100, "first", number=3), number=3)
    newest, oldest = await projected(store, [first, commit_of(2, moved), commit_of(3, again)], how)
    assert (newest.balance, newest.change, newest.cause, newest.seq) == (607, 507, "transfer", 3)
    assert (newest.transfers, newest.transactions, newest.unexplained) == ((LOG,), (TX,), 7)
    assert (oldest.balance, oldest.change) == (100, None)


@HOW
async def test_the_oldest_record_that_is_read_again_is_the_first_still(store: Store, how: str) -> None:
    commits = [commit_of(1, reading(None, 500, "first")), commit_of(2, reading(500, 555, "refresh"))]
    (record,) = await projected(store, commits, how)
    assert (record.balance, record.change, record.cause, record.unexplained) == (555, None, "first", None)


@HOW
async def test_a_native_balance_of_a_block_that_is_read_again_says_what_the_block_changed(
    store: Store, how: str
) -> None:
    native = Holding(NATIVE, solver_at(0))
    commits = [
        commit_of(1, reading(None, 1000, "first", number=4, holding=native), number=4),
        commit_of(2, reading(1000, 1500, "native", holding=native)),
        commit_of(3, reading(1500, 1507, "sync", holding=native)),
    ]
    newest, _ = await projected(store, commits, how)
    assert (newest.balance, newest.change, newest.cause, newest.unexplained) == (1507, 507, "native", None)


@HOW
async def test_a_block_that_was_taken_back_and_comes_again_starts_anew(store: Store, how: str) -> None:
    block = head_at(5).ref
    back = BalanceReverted(1, OURS, 600, 100, head_at(3).ref, updated(5).info, (Orphaned(5, block.hash, 600),))
    commits = [
        commit_of(1, reading(None, 100, "first", number=3), number=3),
        commit_of(2, reading(100, 600, "transfer")),
        commit_of(3, back, number=3),
        commit_of(4, reading(100, 607, "transfer")),
    ]
    newest, _ = await projected(store, commits, how)
    assert (newest.balance, newest.change, newest.seq) == (607, 507, 4)
