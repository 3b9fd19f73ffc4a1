"""`status`, `balances` and `history`: tables for people, JSON for programs."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final
from urllib.parse import quote

from indexer.cli.accounts import held, show_held
from indexer.cli.client import Shape, answered, connected
from indexer.cli.tables import duration, plain, show_json, show_table

_STATUS: Final[Shape] = {"version": str, "uptimeSeconds": (int, float), "config": dict, "streams": dict}

_LONGEST_AMOUNT: Final = 80
"""All digits of a uint256, the point and what is before it."""


def status(args: argparse.Namespace) -> int:
    async def ask() -> int:
        async with connected(args) as client:
            answer = await client.get("/status", _STATUS)
        if args.json:
            show_json(answer)
        else:
            _show_status(answer)
        return 0

    return answered(ask())


def balances(args: argparse.Namespace) -> int:
    """What solvers hold on chains, and what exchange accounts hold."""

    async def ask() -> int:
        async with connected(args) as client:
            query = {"chain": args.chain, "token": args.token, "solver": args.solver}
            of_chains = any(value is not None for value in query.values())
            # Each side is asked for unless the question names the other one alone.
            items = [item async for item in client.items("/balances", **query)] if of_chains or not args.account else []
            accounts = await held(client, args.account) if args.account or not of_chains else []
        if args.json:
            show_json({"items": items, "accounts": accounts})
        else:
            if items or not accounts:
                _show_balances(items)
            if accounts:
                show_held(accounts)
        return 0

    return answered(ask())


def history(args: argparse.Namespace) -> int:
    path = "/".join(quote(part, safe="") for part in (args.chain, args.token, args.solver))

    async def ask() -> int:
        async with connected(args) as client:
            query = {"before": args.before, "from": args.start, "to": args.end}
            items = [item async for item in client.items(f"/balances/{path}/history", most=args.limit, **query)]
        if args.json:
            show_json({"items": items})
        else:
            _show_history(items)
        return 0

    return answered(ask())


def _show_status(answer: dict[str, Any]) -> None:
    uptime = duration(answer["uptimeSeconds"])
    print(f"indexer {answer['version']}, up {uptime}, {answer['subscribers']} subscribers, store {_store(answer)}")
    for problem in answer["config"]["problems"]:
        print(plain(f"configuration: {problem}"))
    _show_hidden(answer["config"].get("hidden") or {})
    nats = answer.get("nats")
    if nats:
        why = f": {nats['lastError']}" if nats["lastError"] else ""
        print(plain(f"NATS {nats['server']} is {nats['state']}, {nats['lagEvents']} events behind{why}"))
    show_table(
        ("stream", "name", "state", "block", "lag", "heads", "seq", "restarts", "endpoint", "last error"),
        [
            (
                name,
                stream["name"],
                stream["state"],
                stream["block"],
                None if stream["block"] is None else f"{stream['lagBlocks']} blocks, {stream['lagSeconds']:.1f} s",
                stream["heads"],
                stream["seq"],
                stream["restarts"],
                stream["endpoint"],
                stream["lastError"],
            )
            for name, stream in answer["streams"].items()
        ],
        right=("block", "seq", "restarts"),
    )
    _show_incidents(answer["streams"])
    _show_accounts(answer["streams"])


def _show_hidden(hidden: dict[str, list[dict[str, Any]]]) -> None:
    """Only what is not watched as it was asked for over the API."""
    for one in hidden.get("solvers", ()):
        if one["unwatchedOn"]:
            chains = ", ".join(map(str, one["unwatchedOn"]))
            told = f"solver {one['name']} of the API ({one['address']}) is hidden by {one['by']} of the file"
            print(plain(f"configuration: {told}, and not watched on {chains}"))
    for one in hidden.get("accounts", ()):
        print(plain(f"configuration: account {one['exchange']}/{one['name']} of the API is hidden by the file's"))


def _show_incidents(streams: dict[str, Any]) -> None:
    """What history does not tell block by block, or is not known just now, and why."""
    told = {
        "lastResync": "everything was read anew at block",
        "lastSearchFailure": "native changes could not be put at their own blocks up to block",
    }
    for name, stream in streams.items():
        for field, what in told.items():
            if incident := stream.get(field):
                print(plain(f"{name}: {what} {incident['block']} ({incident['at']}): {incident['reason']}"))
        for token in stream.get("unreadableTokens", ()):
            since = f"since block {token['block']} ({token['since']})"
            print(plain(f"{name}: {token['tokenAddress']} cannot be read {since}: {token['reason']}"))


def _show_accounts(streams: dict[str, Any]) -> None:
    """Only where something is not as it should be."""
    for name, stream in streams.items():
        account = stream.get("account")
        if account is None:
            continue
        for wallet, why in account["unsupported"].items():
            print(plain(f"{name}: the {wallet} wallet cannot be read: {why}"))
        if account["breaker"]["state"] != "closed":
            print(plain(f"{name}: the breaker is {account['breaker']['state']}: {account['breaker']['reason']}"))


def _show_balances(items: list[dict[str, Any]]) -> None:
    show_table(
        ("chain", "token", "solver", "amount", "block", "since"),
        [
            (
                item["chainId"],
                item["tokenSymbol"] or item["tokenAddress"],
                item["solverAddress"],
                _amount(item),
                item["blockNumber"],
                item["timestamp"],
            )
            for item in items
        ],
        right=("amount", "block"),
    )


def _show_history(items: list[dict[str, Any]]) -> None:
    show_table(
        ("block", "time", "balance", "change (raw)", "cause", "finality", "transaction"),
        [
            (
                item["blockNumber"],
                item["timestamp"],
                _amount(item),
                item["changeAmount"],
                item["cause"],
                item["finality"],
                item["transactionHash"],
            )
            for item in items
        ],
        right=("block", "balance", "change (raw)"),
    )


def _amount(item: dict[str, Any]) -> str:
    """Scaled where the token tells its decimals; up to 255 places, all of them zeros but the last, are for nobody."""
    amount = item["amount"]
    if amount is None:
        return f"{item['balance']} raw"
    return str(amount) if len(amount) <= _LONGEST_AMOUNT else f"{item['balance']}e-{item['decimals']}"


def _store(answer: dict[str, Any]) -> str:
    store = answer["store"]
    return store if isinstance(store, str) else json.dumps(store)
