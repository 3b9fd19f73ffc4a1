"""Binance: spot, cross and isolated margin, USD-M and COIN-M futures, funding and simple earn."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Any, Final

from indexer.clients.exchange.dialects.dialect import KNOCK, Dialect, Limits, WalletKind
from indexer.clients.exchange.dialects.payments import begin, oldest_first
from indexer.clients.exchange.dialects.told import Exchange, Found, Placed, Told
from indexer.clients.exchange.dialects.unified import funding_of, placed
from indexer.clients.exchange.dialects.values import (
    added,
    by_asset,
    code_of,
    milliseconds,
    number,
    required,
    rows_of,
    stated,
    summed,
    times_of,
)
from indexer.clients.exchange.throttle import Cost, Limit, Weighed
from indexer.clients.exchange.unreadable import amount
from indexer.domain.accounts.amounts import Amounts, Slot, Wallet
from indexer.domain.accounts.arrivals import Funding, FundingsSeen, Permissions
from indexer.domain.accounts.validation import Exceptions
from indexer.errors import BadAnswer

_TYPES: Final[Mapping[Wallet, str]] = {
    "spot": "spot",
    "margin": "margin",
    "futures": "linear",
    "coin_futures": "inverse",
}
_USED: Final = {
    "": ("x-mbx-used-weight-1m", 5),
    "sapi": ("x-sapi-used-ip-weight-1m", 10),
    "fapi": ("x-mbx-used-weight-1m", 1),
    "dapi": ("x-mbx-used-weight-1m", 1),
}
"""Where each family tells what is used, and what one of ccxt's units is there."""

_FAMILIES: Final = {
    # Each question of /sapi has 12,000 a minute for itself; together they are kept within that.
    "sapi": Limits(key=Limit(1200, 60), address=Limit(1200, 60)),
    # 180,000 for each of those that are counted for the account: ccxt counts 15 where the venue counts 150.
    "sapi uid": Limits(key=Limit(18_000, 60)),
    "fapi": Limits(key=Limit(2400, 60), address=Limit(2400, 60)),
    "dapi": Limits(key=Limit(2400, 60), address=Limit(2400, 60)),
}
_URL: Final = re.compile(r"/([a-z]?api)/v\d+/([^?]*)")
_API: Final = re.compile(r"[a-z]api")
_OF_THE_ACCOUNT: Final = frozenset({"simple-earn/flexible/position", "simple-earn/locked/position", "userListenToken"})

_HEAVIER: Final = {
    (api, path): 5.0 for api in ("fapiPrivateV2", "fapiPrivateV3") for path in ("account", "balance", "positionRisk")
}
"""What the venue counts where ccxt counts 1."""

_PAGE: Final = 100
_MOST_PAGES: Final = 20
_FUNDINGS: Final = 1000


class Binance(Dialect):
    """Spot and margin talk over the websocket API, futures over a listen key."""

    async def read(self, exchange: Exchange, wallet: Wallet) -> Found:
        if wallet == "earn":
            flexible = [row async for row in _pages(exchange.sapiGetSimpleEarnFlexiblePosition)]
            locked = [row async for row in _pages(exchange.sapiGetSimpleEarnLockedPosition)]
            return stated(_earn(exchange, flexible, locked))
        endpoint, parameters, found = _READS[wallet]
        return stated(found(exchange, await getattr(exchange, endpoint)(parameters)))

    async def subscribe(self, exchange: Exchange, wallet: Wallet) -> None:
        await exchange.watch_balance({"type": _TYPES[wallet]})

    def knock(self, wallet: Wallet) -> Mapping[str, Any]:
        return {"id": KNOCK, "method": "ping" if wallet in ("spot", "margin") else "LIST_SUBSCRIPTIONS"}

    def is_acknowledged(self, message: Any) -> bool:
        result = message.get("result") if isinstance(message, Mapping) else None
        return isinstance(result, Mapping) and "subscriptionId" in result

    def told(self, exchange: Exchange, wallet: Wallet, message: Any) -> Told | None:
        if not isinstance(message, Mapping):
            return None
        event = message.get("event", message)
        match event.get("e") if isinstance(event, Mapping) else None:
            case "outboundAccountPosition":
                amounts = by_asset(
                    exchange, rows_of(event, "B"), "a", lambda row: _whole(amount(row.get("f")), amount(row.get("l")))
                )
                if wallet == "margin":
                    # Net of nothing: what is owed is told by reads alone.
                    amounts = {asset: each._replace(debt=None) for asset, each in amounts.items()}
                return Told(amounts, venue_time=milliseconds(event.get("u")))
            case "balanceUpdate":
                slot = Slot(wallet, code_of(exchange, event, "a"))
                return Told(moved={slot: required(event, "d")}, venue_time=milliseconds(event.get("T")))
            case "ACCOUNT_UPDATE":
                update = event.get("a")
                rows = rows_of(update, "B") if isinstance(update, Mapping) else []
                totals = by_asset(exchange, rows, "a", lambda row: Amounts(total=amount(row.get("wb"))))
                positions = None
                if wallet == "futures" and isinstance(update, Mapping) and "P" in update:
                    positions = tuple(rows_of(update, "P"))
                return Told(totals, venue_time=milliseconds(event.get("T")), positions=positions)
            case "ORDER_TRADE_UPDATE" | "ACCOUNT_CONFIG_UPDATE":
                return Told(orders=True)  # they hold margin, by the leverage, of which no frame tells
            case _:
                return None

    def position(self, exchange: Exchange, row: Mapping[str, Any]) -> Placed | None:
        return placed(exchange.parse_ws_position(row)) if row.get("ps") == "BOTH" else None

    async def positions(self, exchange: Exchange) -> tuple[Placed, ...]:
        rows = rows_of(await exchange.fapiPrivateV3GetPositionRisk())
        return tuple(
            placed(exchange.parse_position_risk(row))._replace(time=milliseconds(row.get("updateTime"))) for row in rows
        )

    async def fundings(self, exchange: Exchange, since: datetime | None) -> FundingsSeen:
        async def page(start: int) -> tuple[Funding, ...]:
            asked = {"incomeType": "FUNDING_FEE", "startTime": start, "limit": _FUNDINGS}
            rows = rows_of(await exchange.fapiPrivateGetIncome(asked))
            return tuple(funding_of(exchange.parse_income(row)) for row in rows)

        now = exchange.milliseconds()
        return await oldest_first(page, begin(since, now), now, page=_FUNDINGS)

    def weighed(self, cost: Cost) -> Weighed:
        found = _API.match(cost.api)
        return Weighed(_family(found[0] if found else "", cost.path), _HEAVIER.get((cost.api, cost.path), cost))

    def family(self, url: str) -> str:
        found = _URL.search(url)
        return _family(*found.groups()) if found else ""

    def part(self, family: str) -> str:
        return family.partition(" ")[0]

    def used(self, url: str, headers: Mapping[str, str]) -> float | None:
        """Whoever used it: that of spot counts its sockets, too."""
        wanted, unit = _USED.get(self.family(url), ("", 1))
        told = next((text for name, text in headers.items() if name.lower() == wanted), "")
        return float(told) / unit if told.isdecimal() else None

    async def permissions(self, exchange: Exchange) -> Permissions:
        if exchange.isSandboxModeEnabled:  # it has no such question: whether the key is good, its balance says
            return await super().permissions(exchange)
        told = await exchange.sapiGetAccountApiRestrictions()
        if not isinstance(told, Mapping) or "enableReading" not in told:
            raise BadAnswer("an answer without enableReading")
        trades = ("enableSpotAndMarginTrading", "enableFutures", "enableMargin", "enableVanillaOptions")
        return Permissions(
            can_read=told["enableReading"] is True,
            can_trade=any(told.get(name) is True for name in trades),
            can_withdraw=told.get("enableWithdrawals") is True,
        )


_DERIVATIVES: Final[frozenset[Wallet]] = frozenset({"futures", "coin_futures"})

BINANCE: Final = Binance(
    exchange="binance",
    wallets={
        "spot": WalletKind(is_streamed=True, knock_seconds=5),
        # The test site has no sapi, and ccxt does not ask that of futures any more.
        "margin": WalletKind(is_streamed=True, knock_seconds=5, in_sandbox=False),
        # A stream tells one pair, and an asset may lie in many: only reads know all of it.
        "isolated": WalletKind(in_sandbox=False),
        "futures": WalletKind(is_streamed=True, opens_on_connect=True, knock_seconds=5, in_sandbox=False),
        "coin_futures": WalletKind(is_streamed=True, opens_on_connect=True, knock_seconds=5, in_sandbox=False),
        "funding": WalletKind(in_sandbox=False),
        "earn": WalletKind(in_sandbox=False),
    },
    # In multi-assets mode an asset that losses and fees were taken from is owed, against the others.
    exceptions=Exceptions(may_be_negative=_DERIVATIVES, free_is_apart=_DERIVATIVES),
    # ccxt would load positions in a task of its own, and compare strings with numbers there.
    options={"watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False}},
    # 6,000 a minute for an address are 1,200 of ccxt's units.
    limits=Limits(key=Limit(1200, 60), address=Limit(1200, 60), families=_FAMILIES),
    has_positions=True,
    has_fundings=True,
)


def _family(api: str, path: str) -> str:
    if api == "sapi" and path in _OF_THE_ACCOUNT:
        return "sapi uid"
    return api if api in _FAMILIES else ""


def _spot(exchange: Exchange, answer: Any) -> Found:
    rows = rows_of(answer, "balances")
    amounts = by_asset(exchange, rows, "asset", lambda row: _whole(amount(row.get("free")), amount(row.get("locked"))))
    return Found(amounts, milliseconds(answer.get("updateTime")))


def _margin(exchange: Exchange, answer: Any) -> Found:
    return Found(by_asset(exchange, rows_of(answer, "userAssets"), "asset", _borrowable))


def _isolated(exchange: Exchange, answer: Any) -> Found:
    """Each pair is a little account of two assets; what lies in all of them counts."""
    sides = []
    for pair in rows_of(answer, "assets"):
        for name in ("baseAsset", "quoteAsset"):
            side = pair.get(name)
            if not isinstance(side, Mapping):
                raise BadAnswer(f"a pair without its {name}")
            sides.append((code_of(exchange, side, "asset"), _borrowable(side)))
    return Found(summed(sides))


def _borrowable(row: Mapping[str, Any]) -> Amounts:
    debt = added(amount(row.get("borrowed")), amount(row.get("interest")))
    return _whole(amount(row.get("free")), amount(row.get("locked")), debt)


def _futures(exchange: Exchange, answer: Any) -> Found:
    """The wallet's balance, as its frames tell; available funds count other collateral and unrealised profit."""
    rows, names = rows_of(answer, "assets"), ("availableBalance", "initialMargin", "walletBalance")
    amounts = by_asset(exchange, rows, "asset", lambda row: Amounts(*(amount(row.get(name)) for name in names)))
    return Found(amounts, times=times_of(exchange, rows, "asset", "updateTime"))


def _funding(exchange: Exchange, answer: Any) -> Found:
    def amounts(row: Mapping[str, Any]) -> Amounts:
        parts = (amount(row.get(name, "0")) for name in ("locked", "freeze", "withdrawing"))
        return _whole(amount(row.get("free")), reduce(added, parts))

    return Found(by_asset(exchange, rows_of(answer), "asset", amounts))


def _earn(exchange: Exchange, flexible: list[Mapping[str, Any]], locked: list[Mapping[str, Any]]) -> Found:
    """Flexible products can be redeemed at once, locked ones cannot."""
    lines = [
        *((code_of(exchange, row, "asset"), _whole(amount(row.get("totalAmount")), Decimal(0))) for row in flexible),
        *((code_of(exchange, row, "asset"), _whole(Decimal(0), amount(row.get("amount")))) for row in locked),
    ]
    return Found(summed(lines))


async def _pages(endpoint: Any) -> AsyncIterator[Mapping[str, Any]]:
    """All rows of a list that comes in pages; one that says more than it shows is none."""
    seen = 0
    for page in range(1, _MOST_PAGES + 1):
        answer = await endpoint({"current": page, "size": _PAGE})
        rows = rows_of(answer, "rows")
        for row in rows:
            yield row
        seen += len(rows)
        total = number(answer.get("total"))
        if not rows or total is None or seen >= total:
            break
    if total is None or seen < total:
        raise BadAnswer("a list that is shorter than it says")


def _whole(free: Decimal | None, used: Decimal | None, debt: Decimal | None = None) -> Amounts:
    return Amounts(free, used, added(free, used), debt)


_READS: Final[Mapping[Wallet, tuple[str, Mapping[str, str], Callable[[Exchange, Any], Found]]]] = {
    "spot": ("privateGetAccount", {"omitZeroBalances": "true"}, _spot),
    "margin": ("sapiGetMarginAccount", {}, _margin),
    "isolated": ("sapiGetMarginIsolatedAccount", {}, _isolated),
    "futures": ("fapiPrivateV3GetAccount", {}, _futures),
    "coin_futures": ("dapiPrivateGetAccount", {}, _futures),
    "funding": ("sapiPostAssetGetFundingAsset", {}, _funding),
}
"""Each whole wallet in one answer."""
