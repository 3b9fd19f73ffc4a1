"""`[exchanges]`: an account each, held against what can be followed at its exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

from indexer.config.rules import rules
from indexer.config.settings import NO_SECRET, ExchangeSettings, RulesSettings, Wallet
from indexer.config.showing import show, show_url
from indexer.config.table import Table
from indexer.config.values import (
    Reader,
    WrongValue,
    boolean,
    credential,
    did_you_mean,
    from_environment,
    integer,
    one_of,
    or_empty,
    or_none,
    text,
    url,
)
from indexer.masking import Secret


class VenueKnown(NamedTuple):
    """What can be followed at an exchange, and what an account there has to bring, in ccxt's words."""

    wallets: Sequence[str]
    credentials: Sequence[str] = ("apiKey", "secret")
    sandbox: Sequence[str] = ()
    """The wallets that its test site has; none where there is no such site."""


Venues = Mapping[str, VenueKnown]
"""The exchanges that can be followed; where it is empty, nobody could say."""

_CREDENTIALS: Final = {
    "apiKey": "api_key",
    "secret": "secret",
    "password": "password",
    "uid": "uid",
    "accountId": "account_id",
    "login": "login",
    "token": "token",
    "twofa": "twofa",
    "privateKey": "private_key",
    "walletAddress": "wallet_address",
}
"""Ccxt's words, and those of the file."""


def exchange(table: Table, title: str, venues: Venues, known_rules: RulesSettings) -> ExchangeSettings:
    known = ExchangeSettings(title, "")
    name = table.required("exchange", _exchange_among(venues), "", 'write its name in lower case, as in "binance"')
    wallet = _wallet_of(name, venues)

    def secret_of(key: str) -> Secret:
        return table.optional(key, or_none(credential(_variable_for(name, key))), NO_SECRET)

    settings = ExchangeSettings(
        name=title,
        exchange=name,
        api_key=secret_of("api_key"),
        secret=secret_of("secret"),
        password=secret_of("password"),
        uid=secret_of("uid"),
        account_id=secret_of("account_id"),
        login=secret_of("login"),
        token=secret_of("token"),
        twofa=secret_of("twofa"),
        private_key=secret_of("private_key"),
        wallet_address=secret_of("wallet_address"),
        wallets=table.list_of("wallets", wallet, 'write a list, as in ["spot", "funding"]') or known.wallets,
        sandbox=table.optional("sandbox", boolean, known.sandbox),
        poll_seconds=table.optional("poll_seconds", integer(0, 3_600), known.poll_seconds),
        base_url=table.optional("base_url", or_empty(_url_without_login), known.base_url),
        rules=rules(table.table("rules"), known_rules),
    )
    if settings.sandbox and name in venues:
        _check_sandbox(settings, venues[name], table)
    for key in _needed(settings, venues):
        if not table.has(key):
            table.wrong(key, f"is missing: {name or 'the exchange'} asks for it", _variable_for(name, key))
    table.close()
    return settings


def _variable_for(exchange_name: str, key: str) -> str:
    """As people name them: after the exchange, and what it is."""
    prefix = exchange_name.upper() if exchange_name[:1].isalpha() else "EXCHANGE"
    return from_environment(f"{prefix}_{key.upper()}")


def _check_sandbox(settings: ExchangeSettings, venue: VenueKnown, table: Table) -> None:
    if not venue.sandbox:
        table.wrong("sandbox", f"{settings.exchange} has none", "leave it out for the exchange itself")
        return
    for wallet in settings.wallets:
        if wallet in venue.wallets and wallet not in venue.sandbox:
            told = f"the sandbox of {settings.exchange} has no {wallet} wallet"
            table.wrong("wallets", told, f"it has {', '.join(venue.sandbox)}")


def _needed(settings: ExchangeSettings, venues: Venues) -> list[str]:
    """The keys without which nobody can ask the exchange; a key and a secret where nobody could say."""
    if settings.exchange in venues:
        return [_CREDENTIALS[word] for word in venues[settings.exchange].credentials]
    is_known_otherwise = settings.wallet_address.reveal() or settings.private_key.reveal()
    return [] if is_known_otherwise else ["api_key", "secret"]


def _url_without_login(value: object) -> str:
    given = url("http", "https")(value)
    if "@" in urlsplit(given).netloc:
        raise WrongValue(
            "names a user or password", "write it without: credentials have keys of their own", show_url(value)
        )
    return given


def _exchange_among(venues: Venues) -> Reader[str]:
    def read(value: object) -> str:
        given = _exchange(value)
        if venues and given not in venues:
            hint = did_you_mean(given, tuple(venues)) or f"there are {', '.join(venues)}"
            raise WrongValue("there is no such exchange", hint, show(value))
        return given

    return read


def _wallet_of(name: str, venues: Venues) -> Reader[Wallet]:
    def read(value: object) -> Wallet:
        if name not in venues or not isinstance(value, str):
            return cast("Wallet", one_of(Wallet)(value))
        known = tuple(venues[name].wallets)
        if value not in known:
            listed, near = ", ".join(known), did_you_mean(value, known)
            hint = f"{near} It has {listed}" if near else f"it has {listed}"
            raise WrongValue(f"{name} has no such wallet", hint, show(value))
        return cast("Wallet", value)

    return read


_exchange = text('write its name in lower case, as in "binance"', pattern=r"[a-z0-9]+", longest=40)
