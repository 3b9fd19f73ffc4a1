"""Binance's /sapi: margin, funding, Simple Earn, the list of coins and what the key may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexer.demo.venue.dialects.base import Ask, Desk, Route
from indexer.demo.venue.dialects.binance.limits import sapi, sapi_key
from indexer.demo.venue.dialects.binance.spot import with_zeros
from indexer.demo.venue.state import EXACT, ZERO, Holding


def routes(desk: Desk) -> Mapping[tuple[str, str], Route]:
    def coins(ask: Ask) -> Any:
        held = ask.shown.holdings("spot")
        return [_coin(asset, held.get(asset, Holding())) for asset in desk.markets.assets]

    def margin(ask: Ask) -> Any:
        listed = with_zeros(ask.shown.holdings("margin"), desk.markets)
        return {
            "created": True,
            "borrowEnabled": True,
            "marginLevel": "999.00000000",
            "collateralMarginLevel": "999.00000000",
            "totalAssetOfBtc": "0.00000000",
            "totalLiabilityOfBtc": "0.00000000",
            "totalNetAssetOfBtc": "0.00000000",
            "tradeEnabled": "trade" in ask.owner.permissions,
            "transferInEnabled": True,
            "transferOutEnabled": True,
            "accountType": "MARGIN_1",
            "userAssets": [_margin_asset(asset, each) for asset, each in listed.items()],
        }

    def margin_pairs(ask: Ask) -> Any:  # noqa: ARG001 - the same for everyone
        return [
            {"base": pair.base, "id": str(index), "isBuyAllowed": True, "isMarginTrade": True, "isSellAllowed": True}
            | {"quote": pair.quote, "symbol": f"{pair.base}{pair.quote}"}
            for index, pair in enumerate(desk.markets.spot, 1)
        ]

    return {
        ("GET", "/sapi/v1/capital/config/getall"): Route(coins, sapi(10)),
        ("GET", "/sapi/v1/account/apiRestrictions"): Route(_restrictions, sapi(1)),
        ("GET", "/sapi/v1/margin/account"): Route(margin, sapi(10)),
        ("GET", "/sapi/v1/margin/allPairs"): Route(margin_pairs, sapi(1), signed=False),
        ("GET", "/sapi/v1/margin/isolated/allPairs"): Route(margin_pairs, sapi(10)),
        ("POST", "/sapi/v1/asset/get-funding-asset"): Route(_funding, sapi(1)),
        ("GET", "/sapi/v1/simple-earn/flexible/position"): Route(_flexible, sapi_key(150)),
        ("GET", "/sapi/v1/simple-earn/locked/position"): Route(_locked, sapi_key(150)),
        ("GET", "/sapi/v1/system/status"): Route(lambda _: {"status": 0, "msg": "normal"}, sapi(1), signed=False),
    }


def _margin_asset(asset: str, held: Holding) -> dict[str, Any]:
    return {
        "asset": asset,
        "borrowed": held.debt,
        "free": held.free,
        "interest": ZERO,
        "locked": held.used,
        "netAsset": EXACT.subtract(held.total, held.debt),
    }


def _restrictions(ask: Ask) -> Any:
    granted = ask.owner.permissions
    return {
        "ipRestrict": "trade" in granted,
        "createTime": 1_700_000_000_000,
        "enableReading": "read" in granted,
        "enableWithdrawals": "withdraw" in granted,
        "enableInternalTransfer": False,
        "enableMargin": "trade" in granted,
        "enableFutures": "trade" in granted,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": "trade" in granted,
        "enablePortfolioMarginTrading": False,
    }


def _funding(ask: Ask) -> Any:
    asked = ask.form.get("asset")
    return [
        {
            "asset": asset,
            "free": each.free,
            "locked": ZERO,
            "freeze": each.used,
            "withdrawing": ZERO,
            "btcValuation": "0",
        }
        for asset, each in ask.shown.holdings("funding").items()
        if each.total and asked in {None, "", asset}
    ]


def _flexible(ask: Ask) -> Any:
    """What is free in the earn wallet can be redeemed at any time."""
    rows = [
        {
            "totalAmount": each.free,
            "tierAnnualPercentageRate": {},
            "latestAnnualPercentageRate": "0.02599895",
            "asset": asset,
            "canRedeem": True,
            "collateralAmount": ZERO,
            "productId": f"{asset}001",
            "yesterdayRealTimeRewards": ZERO,
            "cumulativeBonusRewards": ZERO,
            "cumulativeRealTimeRewards": ZERO,
            "cumulativeTotalRewards": ZERO,
            "autoSubscribe": True,
        }
        for asset, each in ask.shown.holdings("earn").items()
        if each.free
    ]
    return _page(rows, ask.params)


def _locked(ask: Ask) -> Any:
    rows = [
        {
            "positionId": index,
            "projectId": f"{asset}*90",
            "asset": asset,
            "amount": each.used,
            "purchaseTime": str(ask.shown.time_ms),
            "duration": "90",
            "accrualDays": "1",
            "rewardAsset": asset,
            "APY": "0.0202",
            "isRenewable": True,
            "isAutoRenew": True,
            "redeemDate": str(ask.shown.time_ms + 90 * 86_400_000),
        }
        for index, (asset, each) in enumerate(ask.shown.holdings("earn").items(), 1)
        if each.used
    ]
    return _page(rows, ask.params)


def _page(rows: list[dict[str, Any]], params: Mapping[str, str]) -> dict[str, Any]:
    """Ten rows unless asked for more, a hundred at most: who reads one page has not seen everything."""
    size = min(int(params.get("size", "10")), 100)
    start = (int(params.get("current", "1")) - 1) * size
    return {"rows": rows[start : start + size], "total": len(rows)}


def _coin(asset: str, held: Holding) -> dict[str, Any]:
    return {
        "coin": asset,
        "depositAllEnable": True,
        "withdrawAllEnable": True,
        "name": asset,
        "free": held.free,
        "locked": held.used,
        "freeze": "0",
        "withdrawing": "0",
        "ipoing": "0",
        "ipoable": "0",
        "storage": "0",
        "isLegalMoney": False,
        "trading": True,
        "networkList": [
            {
                "network": "ETH",
                "coin": asset,
                "withdrawIntegerMultiple": "0.00000001",
                "isDefault": True,
                "depositEnable": True,
                "withdrawEnable": True,
                "name": "Ethereum (ERC20)",
                "withdrawFee": "0.55",
                "withdrawMin": "1.1",
                "withdrawMax": "10000000000",
                "minConfirm": 12,
                "unLockConfirm": 0,
                "sameAddress": False,
            }
        ],
    }
