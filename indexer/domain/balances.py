"""Which holdings a block may have changed, and what readings change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from indexer.domain.chain import NATIVE, Address, BlockRef, Holding, TokenInfo, Transfer, TxHash

Cause = Literal["first", "transfer", "native", "sync", "refresh", "resync"]
Finality = Literal["latest", "safe", "finalized"]


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched on one chain: every token, and the native coin, of every solver."""

    tokens: frozenset[Address] = frozenset()
    solvers: frozenset[Address] = frozenset()

    def holdings(self) -> frozenset[Holding]:
        return frozenset(Holding(token, solver) for token in (NATIVE, *self.tokens) for solver in self.solvers)

    def natives(self) -> frozenset[Holding]:
        return frozenset(Holding(NATIVE, solver) for solver in self.solvers)

    def covers(self, holding: Holding) -> bool:
        return holding.solver in self.solvers and (holding.token == NATIVE or holding.token in self.tokens)


def touched(transfers: Iterable[Transfer], watch: Watch) -> frozenset[Holding]:
    """The watched holdings that these transfers went out of or into."""
    return frozenset(
        Holding(transfer.token, wallet)
        for transfer in transfers
        if transfer.token in watch.tokens
        for wallet in (transfer.sender, transfer.recipient)
        if wallet in watch.solvers
    )


@dataclass(frozen=True, slots=True)
class BalanceUpdated:
    """A watched balance has a new value, read at exactly this block."""

    chain_id: int
    holding: Holding
    previous: int | None
    balance: int
    block: BlockRef
    cause: Cause
    info: TokenInfo
    transactions: tuple[TxHash, ...] = ()

    @property
    def change(self) -> int | None:
        return None if self.previous is None else self.balance - self.previous


def changes(
    chain_id: int,
    block: BlockRef,
    previous: Mapping[Holding, int],
    readings: Mapping[Holding, int],
    transfers: Sequence[Transfer],
    tokens: Mapping[str, TokenInfo],
    cause: Cause | None = None,
) -> tuple[BalanceUpdated, ...]:
    """One update per reading that differs from what held before, in a fixed order.

    The cause is what the reading itself tells (`first`, `native`, `transfer`), unless the caller knows better
    why it read; a balance never read before is always `first`.
    """
    # Most of the 1,000 natives of a block are what they were: only what differs is worth sorting.
    differing = sorted([holding for holding, balance in readings.items() if previous.get(holding) != balance])
    if not differing:
        return ()
    transactions = _transactions(transfers)
    return tuple(
        BalanceUpdated(
            chain_id=chain_id,
            holding=holding,
            previous=(before := previous.get(holding)),
            balance=readings[holding],
            block=block,
            cause=_cause(holding, before, cause),
            info=tokens.get(holding.token, TokenInfo()),
            transactions=transactions.get(holding, ()),
        )
        for holding in differing
    )


def _cause(holding: Holding, before: int | None, known: Cause | None) -> Cause:
    if before is None:
        return "first"
    return known or ("native" if holding.token == NATIVE else "transfer")


def _transactions(transfers: Sequence[Transfer]) -> dict[Holding, tuple[TxHash, ...]]:
    """Per holding the transactions that moved it, in the block's order, each once."""
    seen: dict[Holding, dict[TxHash, None]] = {}
    for transfer in sorted(transfers, key=lambda transfer: transfer.log_index):
        for wallet in (transfer.sender, transfer.recipient):
            seen.setdefault(Holding(transfer.token, wallet), {})[transfer.transaction] = None
    return {holding: tuple(transactions) for holding, transactions in seen.items()}
