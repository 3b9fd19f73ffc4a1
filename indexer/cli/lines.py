"""Each frame of `tail` as one line for people."""

from __future__ import annotations

from typing import Any

from indexer.cli.tables import plain

Frame = dict[str, Any]


def line_of(frame: Frame) -> str:
    """One line, whatever strangers wrote into it."""
    data = frame.get("data", {})
    match frame["type"]:
        case "gap" if frame["stream"] is None:
            told = "the service has another store than before; balances as they are now:"
        case "gap":
            told = f"events of {frame['stream']} are not kept any more; balances as they are now:"
        case "snapshot":
            told = f"{len(frame['items'])} balances" + "".join(f"; {_held(item)}" for item in frame["items"])
        case "conflated":
            told = f"{frame['dropped']} events left out, the newest state of each balance follows"
        case kind:
            told = _told_of_account(kind, data) if "exchange" in data else _told_of_chain(kind, data)
    where = f"{frame['stream']}#{frame['seq']}" if "seq" in frame else "-"
    return plain(f"{frame.get('time', '-')} {where} {frame['type']} {told}")


def _told_of_chain(kind: str, data: Frame) -> str:
    if kind not in ("balance.updated", "balance.reverted"):
        return _members(data)
    token = data.get("tokenSymbol") or data["tokenAddress"]
    amount = data["amount"] if data.get("amount") is not None else f"{data['newBalance']} raw"
    what = f"{token} {data['solverAddress']} {amount} (raw {_signed(data['changeAmount'])})"
    why = data["cause"] if kind == "balance.updated" else f"{len(data['orphaned'])} orphaned"
    return f"{what} block {data['blockNumber']} {why}"


def _told_of_account(kind: str, data: Frame) -> str:
    who = f"{data['exchange']}/{data['account']}"
    match kind:
        case "balance.updated":
            parts = f"free {_known(data['free'])} used {_known(data['used'])}"
            change = _signed(data["changeAmount"]) if data["previousBalance"] is not None else "first"
            what = f"{data['asset']} {who} {data['wallet']} {_known(data['newBalance'])} ({change})"
            return f"{what} {parts} {data['cause']}"
        case "balance.changed":
            percent = "" if data["changePercent"] is None else f" ({_signed(data['changePercent'])} %)"
            return (
                f"{data['asset']} {who} {data['wallet']} {data['newBalance']} {_signed(data['changeAmount'])}{percent}"
            )
        case "position.updated":
            entry = "" if data["entryPrice"] is None else f" at {data['entryPrice']}"
            return f"{data['symbol']} {who} {data['side']} {data['contracts']}{entry}"
        case "funding_fee":
            return f"{data['symbol']} {who} {_signed(data['amount'])} {data['asset']}"
        case "account.alert":
            where = " ".join(part for part in (who, data["wallet"], data["asset"]) if part)
            state = "over" if data["cleared"] else data["severity"]
            return f"{data['kind']} {state} {where}: {data['detail']}"
        case _:
            return _members(data)


def _members(data: Frame) -> str:
    return " ".join(f"{key}={value}" for key, value in data.items() if value is not None)


def _signed(change: str | None) -> str:
    return "first" if change is None else change if change.startswith("-") else f"+{change}"


def _known(amount: str | None) -> str:
    return "?" if amount is None else amount


def _held(item: Frame) -> str:
    if "exchange" in item:
        return f"{item['asset']} {item['exchange']}/{item['account']} {item['wallet']} {_known(item['balance'])}"
    amount = item["amount"] if item["amount"] is not None else f"{item['balance']} raw"
    return f"{item['tokenSymbol'] or item['tokenAddress']} {item['solverAddress']} {amount}"
