"""Hyperliquid: spot and perpetuals of an address, which everyone may read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from indexer.clients.exchange.dialects.dialect import Dialect, Limits, WalletKind
from indexer.clients.exchange.dialects.naming import told_apart
from indexer.clients.exchange.dialects.payments import begin, oldest_first
from indexer.clients.exchange.dialects.told import Exchange, Found, Placed, Told
from indexer.clients.exchange.dialects.unified import funding_of, placed
from indexer.clients.exchange.dialects.values import code_of, milliseconds, name_of, rows_of, stated, taken
from indexer.clients.exchange.throttle import Limit
from indexer.clients.exchange.unreadable import amount
from indexer.domain.accounts.amounts import Amounts, Wallet
from indexer.domain.accounts.arrivals import Funding, FundingsSeen, Permissions
from indexer.domain.accounts.validation import Exceptions
from indexer.errors import BadAnswer, BadCredentials

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_ASKED: Final[Mapping[Wallet, str]] = {"spot": "spotClearinghouseState", "futures": "clearinghouseState"}
_TOLD: Final[Mapping[Wallet, str]] = {"spot": "spotState", "futures": "clearinghouseState"}
_TYPES: Final[Mapping[Wallet, str]] = {"spot": "spot", "futures": "swap"}
_FUNDINGS: Final = 500


class Hyperliquid(Dialect):
    """There are no keys. Perpetuals are told as equity: the venue names no other number."""

    async def read(self, exchange: Exchange, wallet: Wallet) -> Found:
        answer = await exchange.publicPostInfo({"type": _ASKED[wallet], "user": exchange.walletAddress})
        return stated(Found(*_state(exchange, wallet, answer)))

    async def subscribe(self, exchange: Exchange, wallet: Wallet) -> None:
        await exchange.watch_balance({"type": _TYPES[wallet]})

    def is_acknowledged(self, message: Any) -> bool:
        return isinstance(message, Mapping) and message.get("channel") == "subscriptionResponse"

    def told(self, exchange: Exchange, wallet: Wallet, message: Any) -> Told | None:
        if not isinstance(message, Mapping) or message.get("channel") != _TOLD[wallet]:
            return None
        data = message.get("data")
        state = data.get(_TOLD[wallet]) if isinstance(data, Mapping) else None
        amounts, time = _state(exchange, wallet, state)
        has_positions = wallet == "futures" and isinstance(state, Mapping) and "assetPositions" in state
        positions = tuple(rows_of(state, "assetPositions")) if has_positions else None
        return Told(amounts, venue_time=time, whole=True, positions=positions)

    async def permissions(self, exchange: Exchange) -> Permissions:
        if not _ADDRESS.fullmatch(str(exchange.walletAddress)):
            raise BadCredentials("walletAddress is 0x and 40 hexadecimal digits")
        await self.read(exchange, "futures")
        return Permissions(can_trade=False, can_withdraw=False)

    async def positions(self, exchange: Exchange) -> tuple[Placed, ...]:
        answer = await exchange.publicPostInfo({"type": _ASKED["futures"], "user": exchange.walletAddress})
        rows, time = rows_of(answer, "assetPositions"), milliseconds(answer.get("time"))
        return tuple(placed(exchange.parse_position(row))._replace(time=time) for row in rows)

    async def fundings(self, exchange: Exchange, since: datetime | None) -> FundingsSeen:
        async def page(start: int) -> tuple[Funding, ...]:
            asked = {"type": "userFunding", "user": exchange.walletAddress, "startTime": start}
            rows = rows_of(await exchange.publicPostInfo(asked))
            return tuple(funding_of(exchange.parse_income(row)) for row in rows)

        now = exchange.milliseconds()
        return await oldest_first(page, begin(since, now), now, page=_FUNDINGS)


HYPERLIQUID: Final = Hyperliquid(
    exchange="hyperliquid",
    wallets={
        "spot": WalletKind(is_streamed=True),
        "futures": WalletKind(measure="equity", is_streamed=True),
    },
    exceptions=Exceptions(may_be_negative=frozenset({"futures"}), free_is_apart=frozenset({"futures"})),
    # Whether spot and perpetuals are one account makes no difference here: both are read as they are.
    options={"enableUnifiedMargin": False},
    # ccxt counts 10 where the venue counts 20: half of its 1,200 a minute.
    limits=Limits(address=Limit(600, 60)),
    credentials=("walletAddress",),
    has_positions=True,
    has_fundings=True,
)


def _state(exchange: Exchange, wallet: Wallet, state: Any) -> tuple[dict[str, Amounts], datetime | None]:
    if wallet == "spot":
        rows = rows_of(state, "balances")
        return told_apart((name_of(row, "coin"), _code(exchange, row), _held(row)) for row in rows), None
    summary = state.get("marginSummary") if isinstance(state, Mapping) else None
    if not isinstance(summary, Mapping):
        raise BadAnswer("an answer without marginSummary")
    amounts = Amounts(
        amount(state.get("withdrawable")), amount(summary.get("totalMarginUsed")), amount(summary.get("accountValue"))
    )
    return {"USDC": amounts}, milliseconds(state.get("time"))


def _held(row: Mapping[str, Any]) -> Amounts:
    total, used = amount(row.get("total")), amount(row.get("hold"))
    return Amounts(taken(total, used), used, total)


def _code(exchange: Exchange, row: Mapping[str, Any]) -> str:
    """Coins of other chains have a U before their name; ccxt takes it away over REST, not from frames."""
    return str(exchange.update_spot_currency_code(code_of(exchange, row, "coin")))
