"""Made-up blocks, commits and tokens."""

from __future__ import annotations

from datetime import UTC, datetime

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Address, BlockHash, Head, Holding, TokenInfo, TxHash
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import Checkpoint, StreamStale

USDC = Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
INFO = TokenInfo(6, "USDC", "USD Coin")
TIME = datetime(2026, 11, 21, 1, 2, 3, 456000, UTC)


def block_hash(number: int, fork: str = "a") -> BlockHash:
    return BlockHash(f"0x{fork}{number:063x}")


def head_at(number: int, fork: str = "a") -> Head:
    return Head(number, block_hash(number, fork), block_hash(number - 1, fork), 1_700_000_000 + 12 * number)


def solver_at(index: int) -> Address:
    return Address(f"0x{index:040x}")


def updated(
    number: int, solver: int = 0, balance: int = 7, previous: int | None = 5, fork: str = "a"
) -> BalanceUpdated:
    return BalanceUpdated(
        chain_id=1,
        holding=Holding(USDC, solver_at(solver)),
        previous=previous,
        balance=balance,
        block=head_at(number, fork).ref,
        cause="transfer" if previous is not None else "first",
        info=INFO,
        transactions=(TxHash(block_hash(number, "f")),),
    )


def commit_at(number: int, *, seq: int, count: int = 1, commit_id: str | None = None) -> Commit:
    return Commit(
        id=commit_id or f"commit-{seq}",
        stream="chain:1",
        first_seq=seq,
        time=TIME,
        facts=tuple(updated(number, solver=index) for index in range(count)),
        checkpoint=Checkpoint(head_at(number)),
    )


def stale(*, chain_id: int, seq: int) -> Commit:
    return Commit(f"stale-{chain_id}-{seq}", f"chain:{chain_id}", seq, TIME, (StreamStale(chain_id, "no node", None),))
