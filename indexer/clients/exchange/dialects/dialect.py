"""What has to be known of a venue: its wallets, how each is read, and what its frames say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from indexer.clients.exchange.dialects.naming import told_apart, usual_name
from indexer.clients.exchange.throttle import Cost, Limit, Weighed
from indexer.domain.accounts.amounts import Amounts, Measure, Slot, Wallet, less, plus
from indexer.domain.accounts.arrivals import Funding, FundingsSeen, Permissions, Position
from indexer.domain.accounts.validation import Exceptions
from indexer.errors import BadAnswer

KNOCK: Final = 999_999_999
"""The number of a question that is asked for the sake of an answer: far above those that ccxt counts."""

Exchange = Any
"""An instance of one of ccxt's classes, which have no types."""


class Found(NamedTuple):
    """A whole wallet as one answer says it. `complete`: what it leaves out is not there.

    Its times are of the balances: an answer's own is none, unless the venue says that the balances are as of then.
    """

    amounts: Mapping[str, Amounts]
    venue_time: datetime | None = None
    complete: bool = True
    times: Mapping[str, datetime] = {}
    """Of single assets, where the venue says when each changed."""


class Told(NamedTuple):
    """What one frame says: new amounts, or only that something moved; a `whole` one names all there is."""

    amounts: Mapping[str, Amounts] = {}
    moved: Mapping[Slot, Decimal] = {}
    venue_time: datetime | None = None
    whole: bool = False
    number: int | None = None
    """Of this frame among those of its subscription, where the venue counts them."""
    is_first: bool = False
    """What a subscription begins with: all amounts, and the number from which on frames are counted."""
    asked: float | None = None
    """Not before that, by our clock, the subscription began of which it is the first."""
    positions: tuple[Mapping[str, Any], ...] | None = None
    """As the venue writes them: their names are made with its lists, which a stream has no need of. In a `whole` frame
    they are all that are open."""
    times: Mapping[str, datetime] = {}
    """Of single assets, where the venue says when each changed."""
    orders: bool = False
    """That an order moved, where what orders hold is told by reads alone."""


class Placed(NamedTuple):
    """A position, and when the venue changed it, where it says so."""

    position: Position
    time: datetime | None = None


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


_MOST_PLACES: Final = 300
"""So far from the point no venue writes a digit; sums of such numbers would fill the memory."""


def number(text: Any) -> Decimal | None:
    """Exactly what the venue wrote; nothing where it wrote nothing, `NaN` where nobody could count with it."""
    if text is None or text == "":
        return None
    if isinstance(text, float):
        raise BadAnswer("a number that was a float on its way")
    try:
        found = Decimal(str(text))
    except InvalidOperation:
        raise BadAnswer(f"{str(text)[:40]!r} where a number belongs") from None
    return Decimal("NaN") if found.is_nan() or (found.is_finite() and abs(found.adjusted()) > _MOST_PLACES) else found


def required(row: Mapping[str, Any], name: str) -> Decimal:
    """A number without which the answer is none."""
    found = number(row.get(name))
    if found is None:
        raise BadAnswer(f"an amount without {name}")
    return found


def rows_of(answer: Any, *path: str) -> list[Mapping[str, Any]]:
    """The list at this place of an answer; an answer without it is none, and never an empty wallet."""
    for name in path:
        if not isinstance(answer, Mapping) or name not in answer:
            raise BadAnswer(f"an answer without {name}")
        answer = answer[name]
    if not isinstance(answer, list) or not all(isinstance(row, Mapping) for row in answer):
        raise BadAnswer(f"an answer whose {path[-1] if path else 'content'} is no list")
    return answer


def milliseconds(text: Any) -> datetime | None:
    """A venue's time, where it says one."""
    found = number(text)
    return None if not found else datetime.fromtimestamp(int(found) / 1000, UTC)


def times_of(exchange: Exchange, rows: Iterable[Mapping[str, Any]], name: str, time: str) -> dict[str, datetime]:
    """When each asset changed, where its row says so."""
    told = ((code_of(exchange, row, name), milliseconds(row.get(time))) for row in rows)
    return {asset: changed for asset, changed in told if changed is not None}


def summed(amounts: Iterable[tuple[str, Amounts]]) -> dict[str, Amounts]:
    """Several lines of one asset as one, where each part is known in all of them."""
    found: dict[str, Amounts] = {}
    for asset, more in amounts:
        before = found.get(asset)
        found[asset] = more if before is None else Amounts(*map(added, before, more))
    return found


def added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """The sum, where both were said."""
    return None if one is None or other is None else plus(one, other)


def taken(whole: Decimal | None, part: Decimal | None) -> Decimal | None:
    """The rest, where both were said."""
    return None if whole is None or part is None else less(whole, part)


def stated(found: Found) -> Found:
    """Of all that is named at least one has an amount; an answer in which none has is none."""
    if found.amounts and all(amounts.balance is None for amounts in found.amounts.values()):
        raise BadAnswer("an answer that names assets without their amounts")
    return found


def placed(found: Mapping[str, Any]) -> Placed:
    """Ccxt's unified position."""
    return Placed(_position(found), milliseconds(found.get("lastUpdateTimestamp")))


def _position(found: Mapping[str, Any]) -> Position:
    contracts, side = required(found, "contracts"), found.get("side")
    if not contracts.is_finite():
        raise BadAnswer("a position without a number of contracts")
    if not contracts:
        return Position(str(found["symbol"]), "flat", contracts)
    return Position(
        symbol=str(found["symbol"]),
        side="short" if side == "short" else "long",
        contracts=contracts.copy_abs(),
        entry_price=number(found.get("entryPrice")),
        mark_price=number(found.get("markPrice")),
        unrealized=number(found.get("unrealizedPnl")),
        leverage=number(found.get("leverage")),
        liquidation_price=number(found.get("liquidationPrice")),
        margin_mode=found.get("marginMode"),
    )


def funding_of(found: Mapping[str, Any]) -> Funding:
    """Ccxt's unified funding payment."""
    time = milliseconds(found.get("timestamp"))
    if time is None:
        raise BadAnswer("a funding payment without its time")
    symbol, asset = str(found.get("symbol")), str(found.get("code"))
    # Not every venue numbers them, and hyperliquid's number may be all zeros; of one symbol there is one at a time.
    name = str(found.get("id") or "")
    if not name.removeprefix("0x").strip("0"):
        name = f"{symbol}:{asset}:{int(time.timestamp())}"
    return Funding(name, symbol, asset, required(found, "amount"), time)


def code_of(exchange: Exchange, row: Mapping[str, Any], name: str) -> str:
    """The asset's usual name."""
    return usual_name(exchange, name_of(row, name))


def name_of(row: Mapping[str, Any], name: str) -> str:
    """The asset's name at the venue."""
    found = row.get(name)
    if not isinstance(found, str) or not found:
        raise BadAnswer(f"an amount without its {name}")
    return found


def by_asset(
    exchange: Exchange, rows: Iterable[Mapping[str, Any]], name: str, amounts: Callable[[Mapping[str, Any]], Amounts]
) -> dict[str, Amounts]:
    """What each row says, by the usual name of its asset."""
    return told_apart((name_of(row, name), code_of(exchange, row, name), amounts(row)) for row in rows)
