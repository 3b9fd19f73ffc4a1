"""`[service]`, `[store]`, `[chains]`, `[solvers]`: their keys, what may stand there, and what goes without saying."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from indexer.addresses import Address
from indexer.config.paths import folder_path
from indexer.config.settings import (
    NO_SECRET,
    ApiKey,
    ChainSettings,
    LogFormat,
    Scope,
    ServiceSettings,
    SolverSettings,
    StoreSettings,
)
from indexer.config.showing import show
from indexer.config.store_url import Judge, store_url
from indexer.config.table import Table
from indexer.config.values import (
    Reader,
    WrongValue,
    address,
    block,
    boolean,
    did_you_mean,
    from_environment,
    host,
    integer,
    is_loopback,
    name,
    one_of,
    or_none,
    secret,
    text,
    url,
)
from indexer.masking import SHORTEST_MASTER_KEY, Secret

NO_ADDRESS = Address("")
"""Stands in settings that have problems, and that nobody gets to see, as `NO_SECRET` does."""

_LARGEST = 2**53 - 1
"""The largest integer that JSON readers agree on."""


def service(table: Table, folder: Path) -> ServiceSettings:
    settings = ServiceSettings(
        host=table.optional("host", host, ServiceSettings().host),
        port=table.optional("port", integer(0, 65_535), ServiceSettings().port),
        data_dir=folder / table.optional("data_dir", folder_path, ServiceSettings().data_dir),
        log_format=table.optional("log_format", _log_format, ServiceSettings().log_format),
        api_keys=_api_keys(table),
        allow_anonymous=table.optional("allow_anonymous", boolean, ServiceSettings().allow_anonymous),
        master_key=table.optional("master_key", _master_key, ServiceSettings().master_key),
    )
    if 0 < len(settings.master_key.reveal()) < SHORTEST_MASTER_KEY:
        table.wrong("master_key", f"is shorter than {SHORTEST_MASTER_KEY} characters", "make one: openssl rand -hex 32")
    is_open = not is_loopback(settings.host) and not settings.allow_anonymous
    if is_open and not table.has("api_keys"):
        message = "other machines could reach it, and nobody would have to show a key"
        hint = "add [[service.api_keys]], or set allow_anonymous = true where the network is trusted"
        table.wrong("host", message, hint, settings.host)
    table.close()
    return settings


def _api_keys(table: Table) -> tuple[ApiKey, ...]:
    keys: dict[str, ApiKey] = {}
    secrets: dict[Secret, str] = {}
    hint = "a key has name, key and scopes"
    for row in table.rows("api_keys"):
        key = ApiKey(
            name=row.required("name", name, "", hint),
            key=row.required("key", secret('take it from the environment: "${DESK_KEY}"'), NO_SECRET, hint),
            scopes=row.list_of("scopes", _scope, 'write a list of read, write, admin, as in ["read"]')
            or ApiKey("", NO_SECRET).scopes,
        )
        if row.is_given("scopes") and row.is_empty("scopes"):
            row.wrong("scopes", "opens nothing", 'name some, or leave it out for ["read"]', [])
        if keys.setdefault(key.name, key) is not key and key.name:
            row.wrong("name", "another key has this name", "give each key its own name", key.name)
        if key.key and secrets.setdefault(key.key, row.key) != row.key:
            row.wrong("key", f"is the key of {secrets[key.key]} too", "give each name its own key")
        row.close()
    return tuple(keys.values())


def store(table: Table, wrong_with: Judge) -> StoreSettings:
    hint = "write a database name: up to 38 letters, digits, _ and -"
    settings = StoreSettings(
        url=table.optional("url", store_url(wrong_with), StoreSettings().url),
        database=table.optional("database", text(hint, pattern=r"[\w-]+", longest=38), StoreSettings().database),
        history_days=table.optional("history_days", integer(0, 36_500), StoreSettings().history_days),
    )
    if settings.database in ("admin", "config", "local"):
        table.wrong("database", "is MongoDB's own", hint)
    table.close()
    return settings


def chain(table: Table, title: str) -> ChainSettings:
    if title.isdecimal():
        table.report.add(table.key, "a chain's name can't be a number", "call it by a word; its id is chain_id")
    defaults = ChainSettings(title, 0, ())
    settings = ChainSettings(
        name=title,
        chain_id=table.required("chain_id", integer(1, _LARGEST), 0, "write the chain's id: 1 for Ethereum"),
        rpc_urls=table.list_of("rpc_urls", _rpc_url, 'write a list of URLs, as in ["https://node.example"]'),
        ws_urls=table.list_of("ws_urls", _ws_url, 'write a list of URLs, as in ["wss://node.example"]'),
        native_symbol=table.optional("native_symbol", _symbol, defaults.native_symbol),
        tokens=table.list_of("tokens", address, "write a list of addresses, each in quotes"),
        start_block=table.optional("start_block", block, defaults.start_block),
        sync_interval_seconds=table.optional(
            "sync_interval_seconds", integer(1, 86_400), defaults.sync_interval_seconds
        ),
        reorg_window_blocks=table.optional("reorg_window_blocks", integer(1, 10_000), defaults.reorg_window_blocks),
        native_interval_blocks=table.optional(
            "native_interval_blocks", integer(1, 10_000), defaults.native_interval_blocks
        ),
    )
    if table.is_empty("rpc_urls"):
        table.wrong("rpc_urls", "a chain needs at least one", 'write ["https://..."], or set the variable in it')
    table.close()
    return settings


def solver(table: Table, title: str, chain_names: tuple[str, ...]) -> SolverSettings:
    settings = SolverSettings(
        name=title,
        address=table.required("address", address, NO_ADDRESS, 'write the wallet: address = "0x..."'),
        chains=table.list_of("chains", _one_of_the(chain_names), 'write a list of chain names, as in ["ethereum"]')
        or None,
    )
    if table.is_given("chains") and table.is_empty("chains"):
        table.wrong("chains", "no chain at all", "name some, or leave it out for all", [])
    table.close()
    return settings


def _one_of_the(chain_names: tuple[str, ...]) -> Reader[str]:
    def read(value: object) -> str:
        hint = f"chains in this file: {', '.join(chain_names) or 'none'}"
        title = text(hint)(value)
        if title not in chain_names:
            raise WrongValue("there is no such chain", did_you_mean(title, chain_names) or hint, show(value))
        return title

    return read


def _log_format(value: object) -> LogFormat:
    return cast("LogFormat", one_of(LogFormat)(value))


def _scope(value: object) -> Scope:
    return cast("Scope", one_of(Scope)(value))


_rpc_url = url("http", "https", hint="write an http:// or https:// URL; those of websockets go into ws_urls")
_ws_url = url("ws", "wss", hint="write a ws:// or wss:// URL; those of HTTP go into rpc_urls")
_symbol = text("write a symbol of up to 16 characters", longest=16)
_master_key = or_none(secret(from_environment("INDEXER_MASTER_KEY")))
