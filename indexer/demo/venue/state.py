"""What the venue knows to be so: frozen values, replaced and never edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext

ZERO = Decimal(0)
EXACT = Context(prec=400)
"""The default context rounds sums at 28 digits."""

PRICE_STEP = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class Account:
    """One account of one exchange with the key that opens it; on hyperliquid the key is the wallet's address."""

    exchange: str
    name: str
    number: int
    api_key: str
    secret: str
    password: str
    permissions: frozenset[str]

    @property
    def credentials(self) -> dict[str, str]:
        """What ccxt's constructor takes."""
        if self.exchange == "hyperliquid":
            return {"walletAddress": self.api_key}
        named = {"apiKey": self.api_key, "secret": self.secret}
        return {**named, "password": self.password} if self.exchange == "okx" else named

    def __str__(self) -> str:
        return f"{self.exchange}/{self.name}"


@dataclass(frozen=True, slots=True)
class Holding:
    """One asset in one wallet: what is there (free and used) and what of it is borrowed."""

    free: Decimal = ZERO
    used: Decimal = ZERO
    debt: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return EXACT.add(self.free, self.used)


@dataclass(frozen=True, slots=True)
class Amounts:
    """What an oracle says of one asset; `equity` is the total with the unrealised profit of open positions."""

    free: Decimal
    used: Decimal
    total: Decimal
    debt: Decimal
    equity: Decimal


@dataclass(frozen=True, slots=True)
class Position:
    """An open position; `size` is signed and counts the base asset, `symbol` is written as ccxt does."""

    symbol: str
    size: Decimal
    entry_price: Decimal
    mark_price: Decimal
    leverage: int
    opened_ms: int
    updated_ms: int

    @property
    def settle(self) -> str:
        return self.symbol.partition(":")[2]

    @property
    def notional(self) -> Decimal:
        return EXACT.multiply(self.size, self.mark_price)

    @property
    def unrealised(self) -> Decimal:
        return EXACT.multiply(self.size, EXACT.subtract(self.mark_price, self.entry_price))

    @property
    def margin(self) -> Decimal:
        with localcontext(EXACT):
            return (abs(self.size) * self.entry_price / self.leverage).quantize(PRICE_STEP)


@dataclass(frozen=True, slots=True)
class FundingFee:
    """Paid (negative) or received for holding a position."""

    number: int
    symbol: str
    asset: str
    amount: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class AccountState:
    """All of one account at one moment; an asset that was ever there stays, as zero."""

    seq: int
    time_ms: int
    wallets: Mapping[str, Mapping[str, Holding]]
    positions: Mapping[str, Position] = field(default_factory=dict)
    fees: tuple[FundingFee, ...] = ()
    changed_ms: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def holdings(self, wallet: str) -> Mapping[str, Holding]:
        return self.wallets.get(wallet, {})

    def unrealised(self, asset: str) -> Decimal:
        """The profit of open positions that settle in the asset."""
        with localcontext(EXACT):
            return sum((each.unrealised for each in self.positions.values() if each.settle == asset), ZERO)

    def changed(self, wallet: str, asset: str) -> int:
        return self.changed_ms.get((wallet, asset), self.time_ms)


@dataclass(frozen=True, slots=True)
class Move:
    """One asset of one wallet, before and after."""

    wallet: str
    asset: str
    before: Holding
    after: Holding

    @property
    def delta(self) -> Decimal:
        return EXACT.subtract(self.after.total, self.before.total)


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to an account; `state` is how it stands now."""

    account: Account
    kind: str
    moves: tuple[Move, ...]
    state: AccountState
    positions: tuple[Position, ...] = ()
    fee: FundingFee | None = None

    @property
    def seq(self) -> int:
        return self.state.seq

    @property
    def time_ms(self) -> int:
        return self.state.time_ms

    def moved(self, *wallets: str) -> tuple[Move, ...]:
        return tuple(move for move in self.moves if move.wallet in wallets)
