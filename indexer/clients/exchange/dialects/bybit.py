"""Bybit: the unified account, funding and earn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Any, Final

from indexer.clients.exchange.dialects.dialect import KNOCK, Dialect, Limits, WalletKind
from indexer.clients.exchange.dialects.payments import Page, begin, newest_first
from indexer.clients.exchange.dialects.told import Exchange, Found, Placed, Told
from indexer.clients.exchange.dialects.unified import funding_of, placed
from indexer.clients.exchange.dialects.values import (
    added,
    by_asset,
    code_of,
    milliseconds,
    required,
    rows_of,
    stated,
    summed,
    taken,
)
from indexer.clients.exchange.throttle import Limit
from indexer.clients.exchange.unreadable import amount
from indexer.domain.accounts.amounts import Amounts, Wallet, less
from indexer.domain.accounts.arrivals import Funding, FundingsSeen, Permissions
from indexer.domain.accounts.validation import Exceptions
from indexer.errors import BadAnswer

_SETTLES: Final = ("USDT", "USDC")
_POSITIONS: Final = 200
_FUNDINGS: Final = 100
_MOST_PAGES: Final = 20
_HELD: Final = ("locked", "totalOrderIM", "totalPositionIM")


class Bybit(Dialect):
    """Both sources say `walletBalance`; ccxt would call one of them equity."""

    async def read(self, exchange: Exchange, wallet: Wallet) -> Found:
        match wallet:
            case "unified":
                answer = await exchange.privateGetV5AccountWalletBalance({"accountType": "UNIFIED"})
                return stated(Found(_unified(exchange, rows_of(answer, "result", "list"))))
            case "funding":
                asked = {"accountType": "FUND"}
                return stated(
                    _funding(exchange, await exchange.privateGetV5AssetTransferQueryAccountCoinsBalance(asked))
                )
            case _:
                flexible = await exchange.privateGetV5EarnPosition({"category": "FlexibleSaving"})
                staked = await exchange.privateGetV5EarnPosition({"category": "OnChain"})
                return stated(_earn(exchange, flexible, staked))

    async def subscribe(self, exchange: Exchange, wallet: Wallet) -> None:  # noqa: ARG002 - there is one that is told
        await exchange.watch_balance()

    def is_acknowledged(self, message: Any) -> bool:
        if not isinstance(message, Mapping):
            return False
        return message.get("op") == "subscribe" and message.get("success") is True

    def is_answer(self, message: Any) -> bool:
        return isinstance(message, Mapping) and str(message.get("req_id")) == str(KNOCK)

    def is_ours(self, message: Any) -> bool:
        return isinstance(message, Mapping) and message.get("topic") == "position"

    def ask_for_positions(self) -> Mapping[str, Any] | None:
        return {"req_id": str(KNOCK), "op": "subscribe", "args": ["position"]}

    def position(self, exchange: Exchange, row: Mapping[str, Any]) -> Placed | None:
        """Of those that are read as well."""
        is_read = row.get("category") == "linear" and str(row.get("positionIdx")) == "0"
        return placed(exchange.parse_position(row)) if is_read else None

    def told(self, exchange: Exchange, wallet: Wallet, message: Any) -> Told | None:  # noqa: ARG002
        if self.is_ours(message):
            return Told(positions=tuple(rows_of(message, "data")))
        if not isinstance(message, Mapping) or message.get("topic") != "wallet":
            return None
        return Told(_unified(exchange, rows_of(message, "data")), venue_time=milliseconds(message.get("creationTime")))

    async def permissions(self, exchange: Exchange) -> Permissions:
        answer = await exchange.privateGetV5UserQueryApi()
        told = answer.get("result") if isinstance(answer, Mapping) else None
        if not isinstance(told, Mapping) or not isinstance(told.get("permissions"), Mapping):
            raise BadAnswer("an answer without permissions")
        granted = told["permissions"]
        trades = any(granted.get(name) for name in ("ContractTrade", "Spot", "Options", "Derivatives"))
        return Permissions(
            can_trade=bool(trades) and str(told.get("readOnly")) == "0",
            can_withdraw="Withdraw" in (granted.get("Wallet") or ()),
        )

    async def positions(self, exchange: Exchange) -> tuple[Placed, ...]:
        found = [row for settle in _SETTLES for row in await _open_positions(exchange, settle)]
        return tuple(placed(exchange.parse_position(row)) for row in found)

    async def fundings(self, exchange: Exchange, since: datetime | None) -> FundingsSeen:
        async def page(start: int, end: int, cursor: str | None) -> Page:
            asked = {
                "category": "linear",
                "execType": "Funding",
                "startTime": start,
                "endTime": end,
                "limit": _FUNDINGS,
            }
            answer = await exchange.privateGetV5ExecutionList({**asked, **({"cursor": cursor} if cursor else {})})
            rows = rows_of(answer, "result", "list")
            return Page(tuple(_funded(exchange, row) for row in rows), answer["result"].get("nextPageCursor"))

        now = exchange.milliseconds()
        return await newest_first(page, begin(since, now), now)


BYBIT: Final = Bybit(
    exchange="bybit",
    wallets={"unified": WalletKind(is_streamed=True), "funding": WalletKind(), "earn": WalletKind()},
    exceptions=Exceptions(may_be_negative=frozenset({"unified"}), free_is_apart=frozenset({"unified"})),
    # ccxt would ask twice for what kind of account it is; there is only one kind left.
    options={"enableUnifiedMargin": False, "enableUnifiedAccount": True, "defaultType": "swap"},
    limits=Limits(key=Limit(50, 1), address=Limit(600, 5)),
    has_positions=True,
    has_fundings=True,
)


def _unified(exchange: Exchange, accounts: list[Mapping[str, Any]]) -> dict[str, Amounts]:
    if len(accounts) != 1:
        raise BadAnswer("an answer about another number of accounts than one")

    def amounts(row: Mapping[str, Any]) -> Amounts:
        used = reduce(added, (amount(row.get(name, "0")) for name in _HELD))
        free, debt = amount(row.get("availableToWithdraw")), amount(row.get("borrowAmount"))
        return Amounts(free, used, amount(row.get("walletBalance")), debt)

    return by_asset(exchange, rows_of(accounts[0], "coin"), "coin", amounts)


def _funding(exchange: Exchange, answer: Any) -> Found:
    def amounts(row: Mapping[str, Any]) -> Amounts:
        free, total = amount(row.get("transferBalance")), amount(row.get("walletBalance"))
        return Amounts(free, taken(total, free), total)

    return Found(by_asset(exchange, rows_of(answer, "result", "balance"), "coin", amounts))


def _earn(exchange: Exchange, flexible: Any, staked: Any) -> Found:
    """Flexible savings can be redeemed at once, what is staked on chain cannot."""
    nothing = Decimal(0)
    lines = []
    for row in rows_of(flexible, "result", "list"):
        saved = amount(row.get("amount"))
        lines.append((code_of(exchange, row, "coin"), Amounts(saved, nothing, saved)))
    for row in rows_of(staked, "result", "list"):
        bound = amount(row.get("amount"))
        lines.append((code_of(exchange, row, "coin"), Amounts(nothing, bound, bound)))
    return Found(summed(lines))


async def _open_positions(exchange: Exchange, settle: str) -> list[Mapping[str, Any]]:
    rows, cursor = list[Mapping[str, Any]](), ""
    for _ in range(_MOST_PAGES):
        asked = {"category": "linear", "settleCoin": settle, "limit": _POSITIONS}
        answer = await exchange.privateGetV5PositionList({**asked, **({"cursor": cursor} if cursor else {})})
        more = rows_of(answer, "result", "list")
        rows += more
        cursor = answer["result"].get("nextPageCursor") or ""
        if not cursor or len(more) < _POSITIONS:
            return rows
    raise BadAnswer("more positions than there can be")


def _funded(exchange: Exchange, row: Mapping[str, Any]) -> Funding:
    """Bybit counts what was paid, everyone else what was received; ccxt takes all of it for USDT."""
    found = exchange.parse_income(row)
    market = exchange.safe_market(row.get("symbol"), None, None, "contract")
    amount = less(Decimal(0), required(row, "execFee"))
    return funding_of({**found, "code": market.get("settle") or found["code"], "amount": amount})
