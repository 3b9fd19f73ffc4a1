"""The one truth: what every account really holds, and the only way to change it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext

from indexer.demo.venue.state import (
    EXACT,
    PRICE_STEP,
    ZERO,
    Account,
    AccountState,
    Amounts,
    Change,
    FundingFee,
    Holding,
    Move,
    Position,
)

Amount = str | int | Decimal

_KEPT_STATES = 1000
_KEPT_MS = 30_000
"""No snapshot is ever older than that."""

_KEPT_FEES = 1000


class Overdrawn(ValueError):
    """More was to be taken than there is."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one mutation adds to one asset of one wallet."""

    wallet: str
    asset: str
    free: Decimal = ZERO
    used: Decimal = ZERO
    debt: Decimal = ZERO


class Truth:
    """Accounts, their wallets and positions; whoever listens is told of every change at once."""

    def __init__(self, *, now_ms: Callable[[], int], margin_wallets: Mapping[str, str]) -> None:
        self._now_ms = now_ms
        self._margin_wallets = margin_wallets
        self._states: dict[tuple[str, str], deque[AccountState]] = {}
        self._listeners: list[Callable[[Change], None]] = []

    def listen(self, listener: Callable[[Change], None]) -> None:
        self._listeners.append(listener)

    def open(self, account: Account) -> None:
        """An account with nothing in it; one that is open stays as it is."""
        empty = AccountState(0, self._now_ms(), {})
        self._states.setdefault(_key(account), deque([empty], maxlen=_KEPT_STATES))

    def state(self, account: Account, age_seconds: float = 0.0) -> AccountState:
        """How the account stands, or stood so long ago."""
        states = self._states[_key(account)]
        if not age_seconds:
            return states[-1]
        moment = self._now_ms() - int(age_seconds * 1000)
        return next((state for state in reversed(states) if state.time_ms <= moment), states[0])

    def oracle(self, account: Account) -> dict[str, dict[str, Amounts]]:
        """Every asset that was ever there, wallet by wallet."""
        state = self.state(account)
        margin = self._margin_wallets.get(account.exchange)
        return {
            wallet: {
                asset: Amounts(
                    each.free,
                    each.used,
                    each.total,
                    each.debt,
                    EXACT.add(each.total, state.unrealised(asset) if wallet == margin else ZERO),
                )
                for asset, each in holdings.items()
            }
            for wallet, holdings in state.wallets.items()
        }

    def deposit(self, account: Account, wallet: str, asset: str, amount: Amount) -> Change:
        return self._step(account, "deposit", Step(wallet, asset, free=_exact(amount)))

    def withdraw(self, account: Account, wallet: str, asset: str, amount: Amount) -> Change:
        return self._step(account, "withdraw", Step(wallet, asset, free=-_exact(amount)))

    def hold(self, account: Account, wallet: str, asset: str, amount: Amount) -> Change:
        """An order is placed: what it needs is used and no longer free."""
        held = _exact(amount)
        return self._step(account, "hold", Step(wallet, asset, free=-held, used=held))

    def release(self, account: Account, wallet: str, asset: str, amount: Amount) -> Change:
        held = _exact(amount)
        return self._step(account, "release", Step(wallet, asset, free=held, used=-held))

    def trade(self, account: Account, wallet: str, changes: Mapping[str, Amount]) -> Change:
        """A fill: some assets come, others go, all at once."""
        steps = (Step(wallet, asset, free=_exact(amount)) for asset, amount in changes.items())
        return self._step(account, "trade", *steps)

    def transfer(self, account: Account, asset: str, amount: Amount, source: str, target: str) -> Change:
        moved = _exact(amount)
        return self._step(
            account, "transfer", Step(source, asset, free=-moved), Step(target, asset, free=moved)
        )  # one change: no view shows the money twice or nowhere

    def borrow(self, account: Account, wallet: str, asset: str, amount: Amount) -> Change:
        lent = _exact(amount)
        return self._step(account, "borrow", Step(wallet, asset, free=lent, debt=lent))

    def repay(self, account: Account, wallet: str, asset: str, amount: Amount) -> Change:
        paid = _exact(amount)
        return self._step(account, "repay", Step(wallet, asset, free=-paid, debt=-paid))

    def accrue(self, account: Account, wallet: str, asset: str, amount: Amount) -> Change:
        """Interest: the debt grows."""
        return self._step(account, "interest", Step(wallet, asset, debt=_exact(amount)))

    def set(
        self,
        account: Account,
        wallet: str,
        asset: str,
        *,
        free: Amount | None = None,
        used: Amount | None = None,
        debt: Amount | None = None,
    ) -> Change:
        """Make it so, negative amounts included; what is not named stays."""
        before = self.state(account).holdings(wallet).get(asset, Holding())
        after = Holding(
            before.free if free is None else _exact(free),
            before.used if used is None else _exact(used),
            before.debt if debt is None else _exact(debt),
        )
        return self._commit(account, "adjust", (Move(wallet, asset, before, after),))

    def open_position(self, account: Account, symbol: str, size: Amount, price: Amount, leverage: int = 10) -> Change:
        """The position has this signed size from now on, traded at this price; 0 closes it and realises its profit."""
        state, target, at = self.state(account), _exact(size), _exact(price)
        now = self._now_ms()
        flat = Position(symbol, ZERO, at, at, leverage, now, now)
        held = state.positions.get(symbol, flat)
        with localcontext(EXACT):
            grows = held.size * target >= 0 and abs(target) > abs(held.size)
            kept = held.size if grows else (target if held.size * target > 0 else ZERO)
            realised = ((held.size - kept) * (at - held.entry_price)).quantize(PRICE_STEP)
            entry = at if kept == 0 else held.entry_price
            if grows and kept:
                entry = ((held.size * held.entry_price + (target - held.size) * at) / target).quantize(PRICE_STEP)
            position = replace(held, size=target, entry_price=entry, mark_price=at, leverage=leverage, updated_ms=now)
            more = (position.margin if target else ZERO) - (held.margin if held.size else ZERO)
            step = Step(self._margin_wallet(account), position.settle, free=realised - more, used=more)
        positions = {**state.positions, symbol: position}
        if not target:
            del positions[symbol]
        return self._step(account, "position", step, positions=positions, told=(position,))

    def mark(self, account: Account, symbol: str, price: Amount) -> None:
        """The market moves: unrealised profit changes, and no venue sends a balance for that."""
        state = self.state(account)
        moved = replace(state.positions[symbol], mark_price=_exact(price), updated_ms=self._now_ms())
        time_ms = max(self._now_ms(), state.time_ms)
        self._keep(account, replace(state, time_ms=time_ms, positions={**state.positions, symbol: moved}))

    def pay_funding(self, account: Account, symbol: str, amount: Amount) -> Change:
        """Funding of an open position, negative when paid."""
        state, paid = self.state(account), _exact(amount)
        settle = symbol.partition(":")[2]
        fee = FundingFee(state.seq + 1, symbol, settle, paid, self._now_ms())
        told = tuple(each for each in (state.positions.get(symbol),) if each is not None)
        return self._step(account, "funding", Step(self._margin_wallet(account), settle, free=paid), fee=fee, told=told)

    def _keep(self, account: Account, state: AccountState) -> None:
        states = self._states[_key(account)]
        states.append(state)
        while len(states) > 1 and states[1].time_ms < state.time_ms - _KEPT_MS:
            states.popleft()

    def _margin_wallet(self, account: Account) -> str:
        return self._margin_wallets[account.exchange]

    def _step(
        self,
        account: Account,
        kind: str,
        *steps: Step,
        positions: Mapping[str, Position] | None = None,
        told: tuple[Position, ...] = (),
        fee: FundingFee | None = None,
    ) -> Change:
        moves = tuple(_moves(self.state(account), steps))
        return self._commit(account, kind, moves, positions=positions, told=told, fee=fee)

    def _commit(
        self,
        account: Account,
        kind: str,
        moves: tuple[Move, ...],
        *,
        positions: Mapping[str, Position] | None = None,
        told: tuple[Position, ...] = (),
        fee: FundingFee | None = None,
    ) -> Change:
        state, now = self.state(account), self._now_ms()
        wallets = dict(state.wallets)
        for move in moves:
            wallets[move.wallet] = {**wallets.get(move.wallet, {}), move.asset: move.after}
        after = AccountState(
            seq=state.seq + 1,
            # A clock that is set back must not make a newer state look older.
            time_ms=max(now, state.time_ms),
            wallets=wallets,
            positions=state.positions if positions is None else positions,
            fees=state.fees if fee is None else (*state.fees, fee)[-_KEPT_FEES:],
            changed_ms={**state.changed_ms, **{(move.wallet, move.asset): now for move in moves}},
        )
        self._keep(account, after)
        change = Change(account, kind, moves, after, told, fee)
        for listener in self._listeners:
            listener(change)
        return change


def _moves(state: AccountState, steps: Iterable[Step]) -> Iterable[Move]:
    for step in steps:
        before = state.holdings(step.wallet).get(step.asset, Holding())
        with localcontext(EXACT):
            after = Holding(before.free + step.free, before.used + step.used, before.debt + step.debt)
        fields = ((before.free, after.free), (before.used, after.used), (before.debt, after.debt))
        if any(new < 0 and new < old for old, new in fields):
            raise Overdrawn(f"{step.wallet} {step.asset}: {before} cannot become {after}")
        yield Move(step.wallet, step.asset, before, after)


def _key(account: Account) -> tuple[str, str]:
    """A new key opens the same account."""
    return account.exchange, account.name


def _exact(amount: Amount) -> Decimal:
    if isinstance(amount, float):
        raise TypeError("an amount of money is never a float")
    return Decimal(amount)
