"""OKX over REST."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import orjson

from indexer.demo.venue.dialects.base import Ask, Desk, Route
from indexer.demo.venue.dialects.okx.shapes import account_data, instrument_id, position_data
from indexer.demo.venue.markets import Pair
from indexer.demo.venue.weights import Budget, Cost

INSTRUMENTS = "/api/v5/public/instruments"


def routes(desk: Desk) -> Mapping[tuple[str, str], Route]:
    spot = cache(lambda: orjson.Fragment(orjson.dumps([_instrument(pair) for pair in desk.markets.spot])))
    swaps = cache(lambda: orjson.Fragment(orjson.dumps([_instrument(pair) for pair in desk.markets.swaps])))

    def instruments(ask: Ask) -> Any:
        kinds: dict[str, Callable[[], Any]] = {"SPOT": spot, "SWAP": swaps}
        return _enveloped(kinds.get(ask.params.get("instType", ""), list)())

    def clock(_: Ask) -> Any:
        return _enveloped([{"ts": str(desk.now_ms())}])

    def currencies(_: Ask) -> Any:
        return _enveloped([_currency(asset) for asset in desk.markets.assets])

    return {
        ("GET", "/api/v5/public/time"): Route(clock, _per_ip("/public/time", 10, 2), signed=False),
        ("GET", INSTRUMENTS): Route(instruments, signed=False),
        ("GET", "/api/v5/asset/currencies"): Route(currencies, _per_key("/asset/currencies", 6, 1)),
        ("GET", "/api/v5/asset/balances"): Route(_funding, _per_key("/asset/balances", 6, 1)),
        ("GET", "/api/v5/account/balance"): Route(_trading, _per_key("/account/balance", 10, 2)),
        ("GET", "/api/v5/account/positions"): Route(_positions, _per_key("/account/positions", 10, 2)),
        ("GET", "/api/v5/account/config"): Route(_config, _per_key("/account/config", 5, 2)),
        ("GET", "/api/v5/account/bills"): Route(_bills, _per_key("/account/bills", 5, 1)),
        ("GET", "/api/v5/account/bills-archive"): Route(_bills, _per_key("/account/bills-archive", 5, 2)),
        ("GET", "/api/v5/finance/savings/balance"): Route(_savings, _per_key("/savings/balance", 6, 1)),
        ("GET", "/api/v5/finance/staking-defi/orders-active"): Route(_staked, _per_key("/orders-active", 3, 1)),
    }


def _enveloped(data: Any) -> dict[str, Any]:
    return {"code": "0", "data": data, "msg": ""}


def _per_key(name: str, limit: int, seconds: int) -> tuple[Cost, ...]:
    return (Cost(Budget(name, limit, seconds, per="key"), 1),)


def _per_ip(name: str, limit: int, seconds: int) -> tuple[Cost, ...]:
    return (Cost(Budget(name, limit, seconds), 1),)


def _wanted(ask: Ask) -> Callable[[str], bool]:
    asked = ask.params.get("ccy", "")
    return lambda asset: not asked or asset in asked.split(",")


def _trading(ask: Ask) -> Any:
    """Assets with nothing in them are left out."""
    state, wanted = ask.shown, _wanted(ask)
    listed = [asset for asset, each in state.holdings("unified").items() if wanted(asset) and (each.total or each.debt)]
    return _enveloped([account_data(state, listed)])


def _funding(ask: Ask) -> Any:
    wanted = _wanted(ask)
    return _enveloped(
        [
            {"availBal": each.free, "bal": each.total, "ccy": asset, "frozenBal": each.used}
            for asset, each in ask.shown.holdings("funding").items()
            if each.total and wanted(asset)
        ]
    )


def _savings(ask: Ask) -> Any:
    """What is free in the earn wallet is in flexible savings."""
    wanted = _wanted(ask)
    return _enveloped(
        [
            {"earnings": "0", "redemptAmt": "", "rate": "0.01", "ccy": asset, "amt": each.free}
            | {"loanAmt": each.free, "pendingAmt": "0"}
            for asset, each in ask.shown.holdings("earn").items()
            if each.free and wanted(asset)
        ]
    )


def _staked(ask: Ask) -> Any:
    wanted = _wanted(ask)
    return _enveloped(
        [
            {
                "ordId": str(index),
                "ccy": asset,
                "productId": "1234",
                "state": "1",
                "protocol": "Sushiswap",
                "protocolType": "defi",
                "term": "30",
                "apy": "0.2",
                "investData": [{"ccy": asset, "amt": each.used}],
                "earningData": [{"ccy": asset, "earningType": "0", "earnings": "0"}],
                "purchasedTime": str(ask.shown.time_ms),
            }
            for index, (asset, each) in enumerate(ask.shown.holdings("earn").items(), 1)
            if each.used and wanted(asset)
        ]
    )


def _positions(ask: Ask) -> Any:
    wanted = ask.params.get("instId", "")
    return _enveloped(
        [
            position_data(each)
            for each in ask.shown.positions.values()
            if not wanted or instrument_id(each.symbol) in wanted.split(",")
        ]
    )


def _config(ask: Ask) -> Any:
    named = {"read": "read_only", "trade": "trade", "withdraw": "withdraw"}
    number = str(ask.owner.number)
    config = {
        "acctLv": "2",
        "acctStpMode": "cancel_maker",
        "autoLoan": False,
        "ctIsoMode": "automatic",
        "enableSpotBorrow": False,
        "feeType": "0",
        "greeksType": "PA",
        "ip": "",
        "kycLv": "3",
        "label": ask.owner.name,
        "level": "Lv1",
        "levelTmp": "",
        "mainUid": number,
        "perm": ",".join(named[each] for each in named if each in ask.owner.permissions),
        "posMode": "net_mode",
        "roleType": "0",
        "type": "0",
        "uid": number,
    }
    return _enveloped([config])


def _bills(ask: Ask) -> Any:
    """Newest first, a hundred at most; only funding fees (type 8) are kept."""
    params = ask.params
    if params.get("type", "8") != "8":
        return _enveloped([])
    after, before = int(params.get("after", "0")) or None, int(params.get("before", "0"))
    begin, end = int(params.get("begin", "0")), int(params.get("end", str(1 << 62)))
    bills = [
        {
            "bal": "",
            "balChg": fee.amount,
            "billId": str(fee.number),
            "ccy": fee.asset,
            "execType": "",
            "fee": "0",
            "from": "",
            "instId": instrument_id(fee.symbol),
            "instType": "SWAP",
            "mgnMode": "cross",
            "notes": "",
            "ordId": "",
            "pnl": fee.amount,
            "posBal": "0",
            "posBalChg": "0",
            "subType": "173" if fee.amount < 0 else "174",
            "sz": "0",
            "to": "",
            "ts": str(fee.time_ms),
            "type": "8",
        }
        for fee in reversed(ask.shown.fees)
        if fee.number > before and (after is None or fee.number < after) and begin <= fee.time_ms <= end
    ]
    return _enveloped(bills[: min(int(params.get("limit", "100")), 100)])


def _instrument(pair: Pair) -> dict[str, Any]:
    swap = bool(pair.settle)
    return {
        "alias": "",
        "baseCcy": "" if swap else pair.base,
        "category": "1",
        "ctMult": "1" if swap else "",
        "ctType": "linear" if swap else "",
        "ctVal": "0.01" if swap else "",
        "ctValCcy": pair.base if swap else "",
        "expTime": "",
        "instFamily": f"{pair.base}-{pair.quote}" if swap else "",
        "instId": f"{pair.base}-{pair.quote}{'-SWAP' if swap else ''}",
        "instType": "SWAP" if swap else "SPOT",
        "lever": "100" if swap else "10",
        "listTime": "1548133413000",
        "lotSz": "1" if swap else "0.00000001",
        "maxLmtSz": "100000000",
        "maxMktSz": "85000",
        "minSz": "1" if swap else "0.00001",
        "optType": "",
        "quoteCcy": "" if swap else pair.quote,
        "settleCcy": pair.settle,
        "state": "live",
        "stk": "",
        "tickSz": "0.1",
        "uly": f"{pair.base}-{pair.quote}" if swap else "",
    }


def _currency(asset: str) -> dict[str, Any]:
    return {
        "canDep": True,
        "canInternal": True,
        "canWd": True,
        "ccy": asset,
        "chain": f"{asset}-ERC20",
        "fee": "0.8",
        "mainNet": True,
        "maxFee": "1.6",
        "maxWd": "8852150",
        "minFee": "0.8",
        "minWd": "2",
        "name": asset,
        "needTag": False,
        "wdTickSz": "8",
    }
