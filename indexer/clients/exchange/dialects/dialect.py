"""What has to be known of a venue: its wallets, how each is read, and what its frames say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from indexer.clients.exchange.dialects.told import Exchange, Found, Placed, Told
from indexer.clients.exchange.dialects.unified import placed
from indexer.clients.exchange.throttle import Cost, Limit, Weighed
from indexer.domain.accounts.amounts import Measure, Wallet
from indexer.domain.accounts.arrivals import FundingsSeen, Permissions
from indexer.domain.accounts.validation import Exceptions

KNOCK: Final = 999_999_999
"""The number of a question that is asked for the sake of an answer: far above those that ccxt counts."""


@dataclass(frozen=True, slots=True)
class WalletKind:
    """One kind of wallet at one venue."""

    measure: Measure = "wallet"
    is_streamed: bool = False
    opens_on_connect: bool = False
    """The stream acknowledges nothing: it talks once it is connected."""
    knock_seconds: float = 0.0
    """After so much silence the venue is asked whether it is there; 0: it answers ccxt's own pings with a frame."""
    in_sandbox: bool = True
    """Whether the venue's test site, if there is one, has it as well."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a venue allows, in ccxt's units, of which it earns 1,000 / `rateLimit` a second."""

    key: Limit | None = None
    address: Limit | None = None
    families: Mapping[str, Limits] = field(default_factory=dict)
    """Of those parts of the API whose budgets are other ones; a part that is not named has one like those above."""


@dataclass(frozen=True)
class Dialect:
    """One venue. Subclasses know its words; nothing in here keeps any state."""

    exchange: str
    wallets: Mapping[Wallet, WalletKind]
    exceptions: Exceptions = field(default_factory=Exceptions)
    options: Mapping[str, Any] = field(default_factory=dict)
    has_positions: bool = False
    has_fundings: bool = False
    limits: Limits | None = None
    """Nothing: ccxt's own rate, for the key and for the address."""
    credentials: tuple[str, ...] = ("apiKey", "secret")
    """What an account has to bring, in ccxt's words."""
    tells_again: bool = False
    """It numbers its frames, and begins each new subscription with all that there is (`renew`)."""
    asks_for_orders: bool = False
    needs_markets: bool = False
    """Its assets have other names in the API, which only its lists tell."""
    lists_need_key: bool = False
    """It tells its lists only to who has a key."""

    async def read(self, exchange: Exchange, wallet: Wallet) -> Found:
        """One wallet, whole."""
        raise NotImplementedError

    async def subscribe(self, exchange: Exchange, wallet: Wallet) -> None:
        """Open the stream of one wallet; returns at its first frame, if ever."""
        raise NotImplementedError

    def is_acknowledged(self, message: Any) -> bool:  # noqa: ARG002 - for those that acknowledge
        """Whether this frame says that the subscription stands."""
        return False

    async def renew(self, exchange: Exchange, wallet: Wallet) -> None:
        """Subscribe once more on the same connection, for those that begin it with all there is (`tells_again`)."""
        raise NotImplementedError

    def knock(self, wallet: Wallet) -> Mapping[str, Any]:
        """What the venue answers, by the number `KNOCK`, if anybody is there: a ping may be answered by a proxy."""
        raise NotImplementedError

    def told(self, exchange: Exchange, wallet: Wallet, message: Any) -> Told | None:
        """What a frame says of balances; nothing for all other frames."""
        raise NotImplementedError

    async def permissions(self, exchange: Exchange) -> Permissions:
        """Try the key; what it may do, where the venue tells."""
        await self.read(exchange, next(iter(self.wallets)))
        return Permissions()

    def weighed(self, cost: Cost) -> Weighed:
        """What a request takes, in the units of the limits, and of which family's."""
        return Weighed("", cost)

    def family(self, url: str) -> str:  # noqa: ARG002 - for those that have any
        """Which family answered."""
        return ""

    def part(self, family: str) -> str:  # noqa: ARG002 - for those that have any
        """Of the API, which is left alone as a whole when the venue asks for a pause: elsewhere the venue itself."""
        return ""

    def used(self, url: str, headers: Mapping[str, str]) -> float | None:  # noqa: ARG002 - for those that say it
        """How much of the address's limit of that family is used by now, in its units, where an answer tells."""
        return None

    def is_answer(self, message: Any) -> bool:
        """Whether it answers what we sent beside ccxt, which would not know what to do with it."""
        return isinstance(message, Mapping) and str(message.get("id")) == str(KNOCK)

    def is_ours(self, message: Any) -> bool:  # noqa: ARG002 - for those that are asked to tell positions or orders
        """Whether it tells positions or orders: ccxt would look for lists of markets that a stream does not have."""
        return False

    def ask_for_positions(self) -> Mapping[str, Any] | None:
        """What is sent once the stream is open, so that it tells positions as well; nothing where it does anyway."""
        return None

    async def ask_for_orders(self, exchange: Exchange) -> None:
        """The same of orders, for those that say nothing else of what orders hold (`asks_for_orders`)."""
        raise NotImplementedError

    def position(self, exchange: Exchange, row: Mapping[str, Any]) -> Placed | None:
        """One that a frame told; nothing for one of two sides, of which a read knows both."""
        return placed(exchange.parse_position(row))

    async def positions(self, exchange: Exchange) -> tuple[Placed, ...]:
        """All of them. What has not the venue's shape is an error: ccxt would make an empty list of it."""
        raise NotImplementedError

    async def fundings(self, exchange: Exchange, since: datetime | None) -> FundingsSeen:
        """All payments since then, as far as one question goes; nothing is left out between two of them."""
        raise NotImplementedError
