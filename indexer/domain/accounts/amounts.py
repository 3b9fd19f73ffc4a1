"""What an account holds of one asset in one wallet, as exactly as the venue says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from typing import Final, Literal, NamedTuple

Wallet = Literal[
    "spot", "margin", "isolated", "futures", "coin_futures", "options", "funding", "earn", "unified", "portfolio"
]
"""One word for the same kind of wallet at every venue; `clients.exchange` knows what each venue calls it."""

Measure = Literal["wallet", "equity", "available"]
"""What `total` counts: what is in the wallet, that with unrealised profit, or only what can be spent."""

Source = Literal["stream", "rest"]


_EXACT: Final = Context(prec=400)
"""The default context rounds to 28 digits, and venues list coins with 18 decimals by the trillion."""


class AccountKey(NamedTuple):
    """One account of one venue; `name` is the user's."""

    exchange: str
    name: str

    def __str__(self) -> str:
        return f"{self.exchange}/{self.name}"


class Slot(NamedTuple):
    """Where in an account an amount lies."""

    wallet: Wallet
    asset: str


class AssetKey(NamedTuple):
    """One amount of all accounts: the key that history has."""

    account: AccountKey
    slot: Slot


class Amounts(NamedTuple):
    """Each exactly as the venue said it, or nothing where it does not say: absent is not zero."""

    free: Decimal | None = None
    used: Decimal | None = None
    total: Decimal | None = None
    debt: Decimal | None = None

    @property
    def balance(self) -> Decimal | None:
        """The one number that stands for all: what there is, or at least what is free."""
        return self.free if self.total is None else self.total

    @property
    def is_nothing(self) -> bool:
        """Whether the venue says that nothing is here; it has to say so of the balance."""
        return self.balance is not None and not any(self)

    @property
    def is_something(self) -> bool:
        """Whether the venue says that something is here; of what it names without an amount it says neither."""
        return self.balance is not None and any(self)


def less(after: Decimal, before: Decimal) -> Decimal:
    """The difference, exactly."""
    return _EXACT.subtract(after, before)


def plus(one: Decimal, other: Decimal) -> Decimal:
    """The sum, exactly."""
    return _EXACT.add(one, other)


NOTHING: Final = Amounts(Decimal(0), Decimal(0), Decimal(0))
"""What a complete list of a wallet says of an asset that is not on it."""


@dataclass(frozen=True, slots=True)
class AssetBalance:
    """The amounts in one slot, how they were measured, and how and when we came to know."""

    slot: Slot
    amounts: Amounts
    measure: Measure
    source: Source
    received: datetime
    venue_time: datetime | None = None
