"""Which holdings a block may have changed, and what readings change."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from indexer.domain.chain import NATIVE, Address, BlockRef, Holding, Token, TokenInfo, Transfer, TxHash

Cause = Literal["first", "transfer", "native", "sync", "refresh", "resync"]
Finality = Literal["latest", "safe", "finalized"]

Trail = Mapping[Holding, tuple[Transfer, ...] | None]
"""Per holding the logs since its last record, oldest first; nothing where some of them are not known."""

NO_TRAIL: Trail = {}

MOST_TOLD: Final = 50_000
"""Logs of one record, 4 MB; those before them count as what is not explained."""


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

    def fitting(self, token: Token | None, solver: Address | None) -> tuple[Holding, ...]:
        """What is watched of this token and solver, each any where it is left out; sorted."""
        return tuple(
            holding
            for holding in sorted(self.holdings())
            if token in (None, holding.token) and solver in (None, holding.solver)
        )

    def has(self, token: Token | None, solver: Address | None) -> bool:
        """Whether any of it is."""
        is_asset = token in (None, NATIVE) or token in self.tokens
        return is_asset and (bool(self.solvers) if solver is None else solver in self.solvers)

    def beyond(self, other: Watch) -> frozenset[Holding]:
        """What is watched here and not there; it costs what differs, and not what both have."""
        solvers, tokens = self.solvers - other.solvers, self.tokens - other.tokens
        added = {Holding(token, solver) for token in (NATIVE, *self.tokens) for solver in solvers}
        added.update(Holding(token, solver) for token in tokens for solver in self.solvers)
        return frozenset(added)

    def of(self, holdings: Iterable[Holding]) -> frozenset[Holding]:
        """Those of these that are watched."""
        return frozenset(holding for holding in holdings if self.covers(holding))


def misfit(watches: Iterable[Watch], token: Token | None, solver: Address | None) -> Literal["token", "solver"] | None:
    """Which of the two nothing fits that is watched; neither where nothing is that could."""
    if solver is not None:
        watches = [watch for watch in watches if solver in watch.solvers]
        if not watches:
            return "solver"
    is_watched = token in (None, NATIVE) or any(token in watch.tokens for watch in watches)
    return None if is_watched else "token"


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
    """A watched balance has a new value, read at exactly this block.

    `transactions` are those of the block; `transfers` are all logs since the previous record, and `unexplained` is the
    part of the change that they leave: nothing for native and first, and where some of the logs are not known.
    """

    chain_id: int
    holding: Holding
    previous: int | None
    balance: int
    block: BlockRef
    cause: Cause
    info: TokenInfo
    transactions: tuple[TxHash, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    unexplained: int | None = None
    apart: bool = False
    """Nobody watched it for a while right before: what was between this and the record before is not known."""
    known_to: int | None = None
    """Up to that block it is, all the same."""

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
    trail: Trail = NO_TRAIL,
    again: Container[Holding] = (),
) -> tuple[BalanceUpdated, ...]:
    """One update per reading that differs from what held before, or is to be told `again`; in a fixed order.

    The cause is what the reading itself tells (`first`, `native`, `transfer`, and `sync` of a token that no log of the
    block explains), unless the caller knows better why it read; a balance never read before is always `first`. `trail`
    holds the logs between the previous record and this block's own.
    """
    # Most of the 1,000 natives of a block are what they were: only what differs is worth sorting.
    differing = sorted(
        [holding for holding, balance in readings.items() if previous.get(holding) != balance or holding in again]
    )
    if not differing:
        return ()
    moves = moved(transfers, set(differing))
    updates = []
    for holding in differing:
        before, balance, here = previous.get(holding), readings[holding], moves.get(holding, ())
        logs, unexplained = _explained(holding, before, balance, here, trail.get(holding, ()))
        updates.append(
            BalanceUpdated(
                chain_id=chain_id,
                holding=holding,
                previous=before,
                balance=balance,
                block=block,
                cause=_cause(holding, before, here, cause),
                info=tokens.get(holding.token, TokenInfo()),
                transactions=tuple(dict.fromkeys([log.transaction for log in here])),
                transfers=logs,
                unexplained=unexplained,
            )
        )
    return tuple(updates)


def differing(
    values: Mapping[Holding, int], balances: Mapping[Holding, int], later: Sequence[BalanceUpdated]
) -> frozenset[Holding]:
    """Which of these values, read at an older block, are not what our records say held there.

    `later` are all updates above that block, in the order they were told: before its oldest one there, a balance held
    what that one calls the previous. Where that is nothing, we did not know the balance yet, and cannot tell.
    """
    then: dict[Holding, int | None] = {update.holding: update.previous for update in reversed(later)}
    unlike = set()
    for holding, value in values.items():
        expected = then.get(holding, balances.get(holding))
        if expected != value and not (holding in then and expected is None):
            unlike.add(holding)
    return frozenset(unlike)


def moved(
    transfers: Sequence[Transfer], holdings: Container[tuple[Token, Address]]
) -> dict[tuple[Token, Address], tuple[Transfer, ...]]:
    """Per holding the logs that went out of it or into it, in the block's order, each once.

    The keys are plain tuples, equal to holdings: 5,000 logs name 10,000 wallets, each half a microsecond.
    """
    moves: dict[tuple[Token, Address], list[Transfer]] = {}
    for log in sorted(transfers, key=lambda log: log.log_index):
        sender, recipient = (log.token, log.sender), (log.token, log.recipient)
        if sender in holdings:
            moves.setdefault(sender, []).append(log)
        if recipient in holdings and recipient != sender:
            moves.setdefault(recipient, []).append(log)
    return {holding: tuple(logs) for holding, logs in moves.items()}


def net(transfers: Iterable[Transfer], solver: Address) -> int:
    """What these logs say that they brought in, less what they took out."""
    return sum([(log.amount or 0) * ((log.recipient == solver) - (log.sender == solver)) for log in transfers])


def told(transfers: Iterable[Transfer]) -> tuple[Transfer, ...]:
    """Those among them that say how much; the others explain nothing."""
    return tuple([log for log in transfers if log.amount is not None])


def _explained(
    holding: Holding, before: int | None, balance: int, here: tuple[Transfer, ...], earlier: tuple[Transfer, ...] | None
) -> tuple[tuple[Transfer, ...], int | None]:
    if holding.token == NATIVE:
        return (), None
    if before is None or earlier is None:
        return told(here)[-MOST_TOLD:], None
    logs = told((*earlier, *here))[-MOST_TOLD:]
    return logs, balance - before - net(logs, holding.solver)


def _cause(holding: Holding, before: int | None, here: tuple[Transfer, ...], known: Cause | None) -> Cause:
    if before is None:
        return "first"
    if holding.token == NATIVE:
        return known or "native"
    return known or ("transfer" if here else "sync")
