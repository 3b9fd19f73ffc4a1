"""`accounts`: the exchange accounts of a running service, what they hold, and changing which are followed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from getpass import getpass
from typing import Any, Final
from urllib.parse import quote

from indexer.cli.client import Client, answered, connected
from indexer.cli.tables import note, plain, show_json, show_table

CREDENTIALS: Final = {
    "apiKey": ("INDEXER_ACCOUNT_API_KEY", "API key"),
    "secret": ("INDEXER_ACCOUNT_SECRET", "secret"),
    "password": ("INDEXER_ACCOUNT_PASSWORD", "password or passphrase (none: Enter)"),
    "walletAddress": ("INDEXER_ACCOUNT_WALLET_ADDRESS", "wallet address (none: Enter)"),
    "privateKey": ("INDEXER_ACCOUNT_PRIVATE_KEY", "private key (none: Enter)"),
    "uid": ("INDEXER_ACCOUNT_UID", ""),
    "accountId": ("INDEXER_ACCOUNT_ID", ""),
    "login": ("INDEXER_ACCOUNT_LOGIN", ""),
    "token": ("INDEXER_ACCOUNT_TOKEN", ""),
    "twofa": ("INDEXER_ACCOUNT_TWOFA", ""),
}
"""Never arguments: those stand in the list of processes and in the shell's history. What few exchanges want is not
asked for."""


_ACCOUNT: Final = {"exchange": str, "name": str, "wallets": list}


def accounts(args: argparse.Namespace) -> int:
    """All there are."""

    async def ask() -> int:
        async with connected(args) as client:
            items = [item async for item in client.items("/accounts")]
        if args.json:
            show_json({"items": items})
        else:
            show_table(
                ("exchange", "name", "state", "wallets", "from", "last error", "warnings"),
                [
                    (
                        item["exchange"],
                        item["name"],
                        item["state"],
                        " ".join(item["wallets"]),
                        item["source"],
                        item["lastError"],
                        "; ".join(item["warnings"]),
                    )
                    for item in items
                ],
            )
        return 0

    return answered(ask())


def balances(args: argparse.Namespace) -> int:
    """What one account holds, or every account."""

    async def ask() -> int:
        async with connected(args) as client:
            items = await held(client, args.account)
        if args.json:
            show_json({"items": items})
        else:
            show_held(items)
        return 0

    return answered(ask())


def add(args: argparse.Namespace) -> int:
    found = credentials(os.environ, getpass if sys.stdin.isatty() else None)
    if not found:
        names = ", ".join(variable for variable, _ in CREDENTIALS.values())
        note(f"no credentials: set {names}, or run this on a terminal")
        return 2
    exchange, name = args.account
    wanted = {"exchange": exchange, "name": name, "credentials": found, "wallets": args.wallet or None}
    body = {key: value for key, value in wanted.items() if value is not None} | (
        {"sandbox": True} if args.sandbox else {}
    )

    async def ask() -> int:
        async with connected(args) as client:
            answer = await client.post("/accounts", body, _ACCOUNT)
        _say(args, answer, f"{exchange}/{name} is followed: {', '.join(answer['wallets'])}")
        return 0

    return answered(ask())


def remove(args: argparse.Namespace) -> int:
    async def ask() -> int:
        async with connected(args) as client:
            await client.delete(_path(*args.account))
        _say(args, {}, f"{'/'.join(args.account)} is not followed any more; its history stays")
        return 0

    return answered(ask())


def refresh(args: argparse.Namespace) -> int:
    """Read it now, then show what it holds."""

    async def ask() -> int:
        async with connected(args) as client:
            await client.post(f"{_path(*args.account)}/refresh", None, _ACCOUNT)
            items = [item async for item in _held(client, _path(*args.account))]
        if args.json:
            show_json({"items": items})
        else:
            show_held(items)
        return 0

    return answered(ask())


def credentials(environ: Mapping[str, str], prompt: Callable[[str], str] | None) -> dict[str, str]:
    """From the environment, or else asked for without echo."""
    found = {key: environ.get(variable, "") for key, (variable, _) in CREDENTIALS.items()}
    if not any(found.values()) and prompt is not None:
        found = {key: prompt(f"{question}: ").strip() for key, (_, question) in CREDENTIALS.items() if question}
    return {key: value for key, value in found.items() if value}


async def held(client: Client, one: tuple[str, str] | None) -> list[dict[str, Any]]:
    """What one account holds, or every account."""
    paths = await _paths(client, one)
    return [item for path in paths for item in [each async for each in _held(client, path)]]


async def _paths(client: Client, one: tuple[str, str] | None) -> list[str]:
    if one is not None:
        return [_path(*one)]
    return [_path(item["exchange"], item["name"]) async for item in client.items("/accounts")]


def _held(client: Client, path: str) -> AsyncIterator[dict[str, Any]]:
    return client.items(f"{path}/balances")


def _path(exchange: str, name: str) -> str:
    return f"/accounts/{quote(exchange, safe='')}/{quote(name, safe='')}"


def show_held(items: list[dict[str, Any]]) -> None:
    columns = ("balance", "free", "used", "debt")
    show_table(
        ("account", "wallet", "asset", *columns, "measure", "since"),
        [
            (
                f"{item['exchange']}/{item['account']}",
                item["wallet"],
                item["asset"],
                *(item[column] for column in columns),
                item["measure"],
                item["timestamp"],
            )
            for item in items
        ],
        right=columns,
    )


def _say(args: argparse.Namespace, answer: dict[str, Any], told: str) -> None:
    if args.json:
        show_json(answer)
        return
    print(plain(told))
    for warning in answer.get("warnings", ()):
        print(plain(f"careful: {warning}"))
