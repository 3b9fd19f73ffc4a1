"""OKX: the trading account, funding and earn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from indexer.clients.exchange.dialects.dialect import KNOCK, Dialect, Limits, WalletKind
from indexer.clients.exchange.dialects.payments import Page, begin, newest_first
from indexer.clients.exchange.dialects.told import Exchange, Found, Placed, Told
from indexer.clients.exchange.dialects.unified import funding_of, placed
from indexer.clients.exchange.dialects.values import by_asset, code_of, required, rows_of, stated, summed, times_of
from indexer.clients.exchange.throttle import Cost, Limit, Weighed
from indexer.clients.exchange.unreadable import amount
from indexer.domain.accounts.amounts import Amounts, Wallet
from indexer.domain.accounts.arrivals import Funding, FundingsSeen, Permissions
from indexer.domain.accounts.validation import Exceptions
from indexer.errors import BadAnswer

_BILLS: Final = 100


class Okx(Dialect):
    """The account channel tells what REST tells, in the same words: cash, not equity, which moves with every price."""

    def weighed(self, cost: Cost) -> Weighed:
        """Each question has a budget of its own."""
        return Weighed(cost.path, cost)

    async def read(self, exchange: Exchange, wallet: Wallet) -> Found:
        match wallet:
            case "unified":
                amounts, times = _trading(exchange, rows_of(await exchange.privateGetAccountBalance(), "data"))
                return stated(Found(amounts, times=times))
            case "funding":
                return stated(_funding(exchange, await exchange.privateGetAssetBalances()))
            case _:
                savings = await exchange.privateGetFinanceSavingsBalance()
                staked = await exchange.privateGetFinanceStakingDefiOrdersActive()
                return stated(_earn(exchange, savings, staked))

    async def subscribe(self, exchange: Exchange, wallet: Wallet) -> None:  # noqa: ARG002 - there is one that is told
        await exchange.watch_balance()

    def is_acknowledged(self, message: Any) -> bool:
        return isinstance(message, Mapping) and message.get("event") == "subscribe" and not self.is_ours(message)

    def is_answer(self, message: Any) -> bool:
        """A refusal may come without the number."""
        if not isinstance(message, Mapping):
            return False
        is_refused = message.get("event") == "error" and "channel:positions" in str(message.get("msg"))
        return is_refused or super().is_answer(message)

    def is_ours(self, message: Any) -> bool:
        return isinstance(message, Mapping) and (message.get("arg") or {}).get("channel") == "positions"

    def ask_for_positions(self) -> Mapping[str, Any] | None:
        return {"id": str(KNOCK), "op": "subscribe", "args": [{"channel": "positions", "instType": "ANY"}]}

    def position(self, exchange: Exchange, row: Mapping[str, Any]) -> Placed | None:
        return placed(exchange.parse_position(row)) if row.get("posSide") == "net" else None

    def told(self, exchange: Exchange, wallet: Wallet, message: Any) -> Told | None:  # noqa: ARG002
        if not isinstance(message, Mapping) or "data" not in message:
            return None
        if self.is_ours(message):
            return Told(positions=tuple(rows_of(message, "data")))
        if (message.get("arg") or {}).get("channel") != "account":
            return None
        rows = rows_of(message, "data")
        if not rows:
            return None
        amounts, times = _trading(exchange, rows)
        is_whole = message.get("eventType") == "snapshot" and message.get("lastPage", True) is True
        return Told(amounts, whole=is_whole and message.get("curPage", 1) == 1, times=times)

    async def permissions(self, exchange: Exchange) -> Permissions:
        [config] = rows_of(await exchange.privateGetAccountConfig(), "data") or [{}]
        if not isinstance(config.get("perm"), str):
            raise BadAnswer("an answer without perm")
        granted = config["perm"].split(",")
        return Permissions("read_only" in granted, "trade" in granted, "withdraw" in granted)

    async def positions(self, exchange: Exchange) -> tuple[Placed, ...]:
        rows = rows_of(await exchange.privateGetAccountPositions(), "data")
        return tuple(placed(exchange.parse_position(row)) for row in rows)

    async def fundings(self, exchange: Exchange, since: datetime | None) -> FundingsSeen:
        async def page(start: int, end: int, after: str | None) -> Page:
            asked = {"type": "8", "begin": str(start), "end": str(end), "limit": str(_BILLS)}
            answer = await exchange.privateGetAccountBillsArchive({**asked, **({"after": after} if after else {})})
            rows = rows_of(answer, "data")
            last = str(rows[-1].get("billId")) if len(rows) == _BILLS else None
            return Page(tuple(_funded(exchange, row) for row in rows), last)

        now = exchange.milliseconds()
        return await newest_first(page, begin(since, now), now)


OKX: Final = Okx(
    exchange="okx",
    wallets={"unified": WalletKind(is_streamed=True), "funding": WalletKind(), "earn": WalletKind()},
    exceptions=Exceptions(may_be_negative=frozenset({"unified"}), free_is_apart=frozenset({"unified"})),
    # Of each: what ccxt counts is so much of two seconds that it may be asked six, ten or twenty times.
    limits=Limits(key=Limit(18, 2)),
    credentials=("apiKey", "secret", "password"),
    has_positions=True,
    has_fundings=True,
)


def _trading(exchange: Exchange, rows: list[Mapping[str, Any]]) -> tuple[dict[str, Amounts], Mapping[str, datetime]]:
    """When each asset changed is told by both sources; the account's own time is only when that was looked up."""
    if len(rows) != 1:
        raise BadAnswer("an answer about another number of accounts than one")
    details = rows_of(rows[0], "details")
    names = ("availBal", "frozenBal", "cashBal", "liab")
    amounts = by_asset(exchange, details, "ccy", lambda row: Amounts(*(amount(row.get(name)) for name in names)))
    return amounts, times_of(exchange, details, "ccy", "uTime")


def _funding(exchange: Exchange, answer: Any) -> Found:
    rows, names = rows_of(answer, "data"), ("availBal", "frozenBal", "bal")
    return Found(by_asset(exchange, rows, "ccy", lambda row: Amounts(*(amount(row.get(name)) for name in names))))


def _earn(exchange: Exchange, savings: Any, staked: Any) -> Found:
    """Savings can be redeemed at once, what is staked cannot."""
    lines = []
    for row in rows_of(savings, "data"):
        saved = amount(row.get("amt"))
        lines.append((code_of(exchange, row, "ccy"), Amounts(saved, Decimal(0), saved)))
    for order in rows_of(staked, "data"):
        for row in rows_of(order, "investData"):
            bound = amount(row.get("amt"))
            lines.append((code_of(exchange, row, "ccy"), Amounts(Decimal(0), bound, bound)))
    return Found(summed(lines))


def _funded(exchange: Exchange, row: Mapping[str, Any]) -> Funding:
    """To or from the cash, or the margin of an isolated position."""
    cash = required(row, "balChg")
    found = {
        "id": row.get("billId"),
        "symbol": exchange.safe_symbol(row.get("instId")),
        "code": code_of(exchange, row, "ccy"),
        "timestamp": row.get("ts"),
        "amount": cash or required(row, "posBalChg"),
    }
    return funding_of(found)
