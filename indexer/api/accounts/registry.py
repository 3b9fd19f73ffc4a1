"""Which exchange accounts are followed: list, add, show, change, remove, read again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

from aiohttp import web

from indexer.api.accounts.shapes import registered_json
from indexer.api.answers import json_answer
from indexer.api.bodies import list_of, name_of, read_nothing, read_object, text_of
from indexer.api.pages import cursor, page_of, place_of
from indexer.api.parameters import Query, did_you_mean, whole_number
from indexer.api.ports import AccountControl, Status
from indexer.api.routes import ACCOUNT, API, CURSOR, LIMIT, Answer, Parameter, Route
from indexer.domain.accounts.amounts import AccountKey, Wallet
from indexer.domain.accounts.registry import Account
from indexer.domain.telling.streams import exchange_stream
from indexer.errors import Refused

_CURSOR: Final = "accounts"
_EXCHANGE: Final = re.compile(r"[a-z0-9]{1,40}")
_KNOWN: Final = ("exchange", "name", "credentials", "wallets", "sandbox", "pollSeconds", "baseUrl")
_CREDENTIALS: Final = (
    "apiKey",
    "secret",
    "password",
    "uid",
    "accountId",
    "login",
    "token",
    "twofa",
    "privateKey",
    "walletAddress",
)
"""Ccxt's words for whatever an exchange may ask for."""

_MAX_AGE: Final = Parameter(
    "maxAgeSeconds",
    "Wallets that were read not longer ago than this are not read again.",
    {"type": "integer", "minimum": 0, "maximum": 300, "default": 0},
)
_MOST_WALLETS: Final = 20
_POLL: Final = (1, 3_600)


class AccountsResource:
    """`/accounts` and `/accounts/{exchange}/{name}`."""

    def __init__(self, *, accounts: AccountControl, status: Status) -> None:
        self._accounts = accounts
        self._status = status

    def routes(self) -> tuple[Route, ...]:
        one = Answer("The account, without its credentials.", "Account")
        return (
            Route(
                method="GET",
                path=f"{API}/accounts",
                handler=self.page,
                summary="The exchange accounts that are followed",
                tag="accounts",
                query=(LIMIT, CURSOR),
                answers={200: Answer("A page of accounts, by exchange and name.", "AccountPage")},
                problems=(400,),
            ),
            Route(
                method="POST",
                path=f"{API}/accounts",
                handler=self.add,
                summary="Follow one more exchange account; its credentials are tried first and kept encrypted",
                tag="accounts",
                scope="admin",
                body="NewAccount",
                answers={201: one},
                problems=(400, 409, 408, 413, 415, 422, 503),
            ),
            Route(
                method="GET",
                path=ACCOUNT,
                handler=self.show,
                summary="One exchange account",
                tag="accounts",
                answers={200: one},
                problems=(404,),
            ),
            Route(
                method="PATCH",
                path=ACCOUNT,
                handler=self.change,
                summary="Other credentials, wallets or pace; the account's history goes on",
                tag="accounts",
                scope="admin",
                body="AccountChange",
                answers={200: one},
                problems=(400, 404, 408, 413, 415, 422, 503),
            ),
            Route(
                method="DELETE",
                path=ACCOUNT,
                handler=self.remove,
                summary="Stop following an account and forget its credentials; its history stays",
                tag="accounts",
                scope="admin",
                answers={204: Answer("It is not followed any more.", content_type="")},
                problems=(404, 422, 503),
            ),
            Route(
                method="POST",
                path=f"{ACCOUNT}/refresh",
                handler=self.refresh,
                summary="Read the wallets of an account now",
                tag="accounts",
                scope="write",
                query=(_MAX_AGE,),
                answers={200: one},
                problems=(400, 404, 408, 413, 415, 422, 503),
            ),
        )

    async def page(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        limit = query.limit()
        place = place_of(query, _CURSOR, str, str)
        after = None if place is None else AccountKey(*place)
        rest = [account for account in self._accounts.all() if after is None or account.key > after]
        return json_answer(page_of(rest, limit, self._shown, lambda account: cursor(_CURSOR, *account.key)))

    async def add(self, request: web.Request) -> web.Response:
        body = await read_object(request, _KNOWN)
        exchange = text_of(body, "exchange")
        if not _EXCHANGE.fullmatch(exchange):
            raise Refused('a lower-case name is expected, as in "binance"', "exchange")
        name = name_of(body)
        sandbox = body.get("sandbox")
        if sandbox is not None and not isinstance(sandbox, bool):
            raise Refused("true or false is expected", "sandbox")
        account = Account(
            key=AccountKey(exchange, name),
            wallets=_wallets(body),
            sandbox=bool(sandbox),
            poll_seconds=_poll_seconds(body),
            base_url=_base_url(body),
        )
        await self._accounts.add(account, _credentials(body))
        place = f"{API}/accounts/{quote(exchange, safe='')}/{quote(name, safe='')}"
        return json_answer(self._shown(self._accounts.account(account.key)), 201, {"Location": place})

    async def show(self, request: web.Request) -> web.Response:
        return json_answer(self._shown(self._accounts.account(key_of(request))))

    async def change(self, request: web.Request) -> web.Response:
        body = await read_object(request, ("credentials", "wallets", "pollSeconds"))
        key = key_of(request)
        await self._accounts.change(
            key,
            credentials=_credentials(body) if body.get("credentials") is not None else None,
            wallets=_wallets(body) if "wallets" in body else None,
            poll_seconds=_poll_seconds(body) if "pollSeconds" in body else ...,
        )
        return json_answer(self._shown(self._accounts.account(key)))

    async def remove(self, request: web.Request) -> web.Response:
        await self._accounts.remove(key_of(request))
        return web.Response(status=204)

    async def refresh(self, request: web.Request) -> web.Response:
        await read_nothing(request)
        key = key_of(request)
        query = Query(request.query)
        query.refuse_unknown(("maxAgeSeconds",))
        age = query.text("maxAgeSeconds")
        await self._accounts.refresh(
            key, max_age_seconds=0 if age is None else whole_number(age, "maxAgeSeconds", high=300)
        )
        return json_answer(self._shown(self._accounts.account(key)))

    def _shown(self, account: Account) -> dict[str, Any]:
        stream = exchange_stream(*account.key)
        status = next((one for one in self._status.streams() if one.stream == stream), None)
        return registered_json(account, status, self._accounts.permissions(account.key))


def key_of(request: web.Request) -> AccountKey:
    """The account that the path names."""
    return AccountKey(request.match_info["exchange"], request.match_info["name"])


def _credentials(body: Mapping[str, Any]) -> dict[str, str]:
    """Named in problems, never quoted."""
    given = body.get("credentials")
    if not isinstance(given, dict) or not given:
        raise Refused(f"an object is expected, with some of {', '.join(_CREDENTIALS)}", "credentials")
    for name, value in given.items():
        if name not in _CREDENTIALS:
            raise Refused(f"unknown member{did_you_mean(name, _CREDENTIALS)}", f"credentials.{name[:64]}")
        if not isinstance(value, str) or not value or len(value) > 4_096:
            raise Refused("a text is expected", f"credentials.{name}")
        if not value.startswith("-----BEGIN") and (value != value.strip() or not value.isprintable()):
            raise Refused(
                "a blank at its begin or end, or something that is no letter: copy it again", f"credentials.{name}"
            )
    return dict(given)


def _wallets(body: Mapping[str, Any]) -> tuple[Wallet, ...]:
    """Words, each once, none for all there are; which the exchange has is known where accounts are followed."""
    if body.get("wallets") is None:
        return ()
    named: dict[Wallet, None] = {}
    for index, value in enumerate(list_of(body, "wallets", _MOST_WALLETS)):
        if not isinstance(value, str):
            raise Refused('a wallet is expected, as in "spot"', f"wallets[{index}]")
        named[cast(Wallet, value)] = None
    return tuple(named)


def _poll_seconds(body: Mapping[str, Any]) -> float | None:
    value = body.get("pollSeconds")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not _POLL[0] <= value <= _POLL[1]:
        raise Refused(f"a number from {_POLL[0]} to {_POLL[1]} is expected", "pollSeconds")
    return float(value)


def _base_url(body: Mapping[str, Any]) -> str:
    value = body.get("baseUrl")
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or not _is_web_url(value):
        raise Refused("an http:// or https:// URL is expected", "baseUrl")
    if "@" in urlsplit(value).netloc:
        raise Refused("a URL without user and password is expected: it is kept as it is", "baseUrl")
    return value


def _is_web_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a host or port that cannot be read
        return False
    return is_whole and parts.scheme in ("http", "https") and value.isprintable() and " " not in value
