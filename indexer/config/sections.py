"""Each table of the file: its keys, what may stand there, and what goes without saying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

from indexer.addresses import Address
from indexer.config.rules import rules
from indexer.config.settings import (
    NO_SECRET,
    ApiKey,
    ChainSettings,
    ExchangeSettings,
    LogFormat,
    NatsSettings,
    NatsStart,
    RulesSettings,
    Scope,
    ServiceSettings,
    SolverSettings,
    StoreSettings,
    Wallet,
)
from indexer.config.table import Table
from indexer.config.values import (
    Reader,
    WrongValue,
    address,
    block,
    boolean,
    credential,
    did_you_mean,
    host,
    integer,
    is_loopback,
    name,
    one_of,
    secret,
    show,
    store_url,
    text,
    url,
    urls,
)
from indexer.masking import SHORTEST_MASTER_KEY, Secret

NO_ADDRESS = Address("")
"""Stands in settings that have problems, and that nobody gets to see, as `NO_SECRET` does."""


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

_LARGEST = 2**53 - 1
"""The largest integer that JSON readers agree on."""


_FROM_ENVIRONMENT: Final = 'take it from the environment, as in "${BINANCE_API_KEY}"'


def service(table: Table, folder: Path) -> ServiceSettings:
    settings = ServiceSettings(
        host=table.optional("host", host, ServiceSettings().host),
        port=table.optional("port", integer(0, 65_535), ServiceSettings().port),
        data_dir=folder / table.optional("data_dir", _folder, ServiceSettings().data_dir),
        log_format=table.optional("log_format", _log_format, ServiceSettings().log_format),
        api_keys=_api_keys(table),
        allow_anonymous=table.optional("allow_anonymous", boolean, ServiceSettings().allow_anonymous),
        master_key=table.optional("master_key", _or_none(secret(_FROM_ENVIRONMENT)), ServiceSettings().master_key),
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
        if keys.setdefault(key.name, key) is not key and key.name:
            row.wrong("name", "another key has this name", "give each key its own name", key.name)
        if key.key and secrets.setdefault(key.key, row.key) != row.key:
            row.wrong("key", f"is the key of {secrets[key.key]} too", "give each name its own key")
        row.close()
    return tuple(keys.values())


def store(table: Table) -> StoreSettings:
    hint = "write a database name: up to 38 letters, digits, _ and -"
    settings = StoreSettings(
        url=table.optional("url", store_url, StoreSettings().url),
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
        table.wrong("chains", "no chain at all", "name some, or leave it out for all")
    table.close()
    return settings


def exchange(table: Table, title: str, venues: Venues, known_rules: RulesSettings) -> ExchangeSettings:
    known = ExchangeSettings(title, "")
    name = table.required("exchange", _exchange_among(venues), "", 'write its name in lower case, as in "binance"')
    secret_of = _or_none(credential(_FROM_ENVIRONMENT))
    wallet = _wallet_of(name, venues)
    settings = ExchangeSettings(
        name=title,
        exchange=name,
        api_key=table.optional("api_key", secret_of, known.api_key),
        secret=table.optional("secret", secret_of, known.secret),
        password=table.optional("password", secret_of, known.password),
        uid=table.optional("uid", secret_of, known.uid),
        account_id=table.optional("account_id", secret_of, known.account_id),
        login=table.optional("login", secret_of, known.login),
        token=table.optional("token", secret_of, known.token),
        twofa=table.optional("twofa", secret_of, known.twofa),
        private_key=table.optional("private_key", secret_of, known.private_key),
        wallet_address=table.optional("wallet_address", secret_of, known.wallet_address),
        wallets=table.list_of("wallets", wallet, 'write a list, as in ["spot", "funding"]') or known.wallets,
        sandbox=table.optional("sandbox", boolean, known.sandbox),
        poll_seconds=table.optional("poll_seconds", integer(0, 3_600), known.poll_seconds),
        base_url=table.optional("base_url", _or_empty(_url_without_login), known.base_url),
        rules=rules(table.table("rules"), known_rules),
    )
    if settings.sandbox and name in venues:
        _check_sandbox(settings, venues[name], table)
    for key in _needed(settings, venues):
        if not table.has(key):
            table.wrong(key, f"is missing: {name or 'the exchange'} asks for it", _FROM_ENVIRONMENT)
    table.close()
    return settings


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


def nats(table: Table, folder: Path) -> NatsSettings:
    from_environment = 'take it from the environment, as in "${NATS_PASSWORD}"'
    file, known = _file_in(folder), NatsSettings()
    stream = text("write a stream's name: up to 64 letters, digits, _ and -", pattern=r"[A-Za-z0-9_-]+", longest=64)
    settings = NatsSettings(
        url=table.optional("url", _or_empty(urls("nats", "tls", "ws", "wss")), known.url),
        user=table.optional("user", _or_empty(text("write the user's name")), known.user),
        password=table.optional("password", _or_none(secret(from_environment)), known.password),
        token=table.optional("token", _or_none(secret(from_environment)), known.token),
        credentials_file=table.optional("credentials_file", file, known.credentials_file),
        tls_ca_file=table.optional("tls_ca_file", file, known.tls_ca_file),
        tls_certificate_file=table.optional("tls_certificate_file", file, known.tls_certificate_file),
        tls_key_file=table.optional("tls_key_file", file, known.tls_key_file),
        stream=table.optional("stream", stream, known.stream),
        stream_days=table.optional("stream_days", integer(0, 36_500), known.stream_days),
        stream_megabytes=table.optional("stream_megabytes", integer(0, 2**40), known.stream_megabytes),
        stream_replicas=table.optional("stream_replicas", integer(1, 5), known.stream_replicas),
        start=table.optional("start", _nats_start, known.start),
    )
    _check_nats(settings, table)
    table.close()
    return settings


def _check_nats(settings: NatsSettings, table: Table) -> None:
    ways = [key for key in ("user", "token", "credentials_file") if getattr(settings, key)]
    ways += ["url"] * any("@" in url for url in settings.urls)
    if len(ways) > 1:
        table.wrong(ways[-1], f"there is another way to log in: {ways[0]}", "keep one of the two")
    for one, other in (("user", "password"), ("tls_certificate_file", "tls_key_file")):
        if table.has(one) != table.has(other):
            missing, there = (one, other) if table.has(other) else (other, one)
            table.wrong(missing, f"is missing, and {there} is there", "set both, or none")


def _url_without_login(value: object) -> str:
    given = url("http", "https")(value)
    if "@" in urlsplit(given).netloc:
        raise WrongValue(
            "names a user or password", "write it without: credentials have keys of their own", show(given)
        )
    return given


def _folder(value: object) -> Path:
    hint = "write the path of a folder; a relative one begins at this file's folder"
    given = text(hint, longest=4096)(value)
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise WrongValue("there is no such user, or no home folder", hint, show(given)) from error


def _one_of_the(chain_names: tuple[str, ...]) -> Reader[str]:
    def read(value: object) -> str:
        hint = f"chains in this file: {', '.join(chain_names) or 'none'}"
        title = text(hint)(value)
        if title not in chain_names:
            raise WrongValue("there is no such chain", did_you_mean(title, chain_names) or hint, show(title))
        return title

    return read


def _log_format(value: object) -> LogFormat:
    return cast("LogFormat", one_of(LogFormat)(value))


def _scope(value: object) -> Scope:
    return cast("Scope", one_of(Scope)(value))


def _exchange_among(venues: Venues) -> Reader[str]:
    def read(value: object) -> str:
        given = _exchange(value)
        if venues and given not in venues:
            hint = did_you_mean(given, tuple(venues)) or f"there are {', '.join(venues)}"
            raise WrongValue("there is no such exchange", hint, show(given))
        return given

    return read


def _wallet_of(name: str, venues: Venues) -> Reader[Wallet]:
    def read(value: object) -> Wallet:
        given = one_of(Wallet)(value)
        if name in venues and given not in venues[name].wallets:
            raise WrongValue(f"{name} has no such wallet", f"it has {', '.join(venues[name].wallets)}", show(given))
        return cast("Wallet", given)

    return read


def _nats_start(value: object) -> NatsStart:
    return cast("NatsStart", one_of(NatsStart)(value))


def _or_empty(read: Reader[str]) -> Reader[str]:
    """Empty text says "none" where that is the default."""
    return lambda value: "" if value == "" else read(value)


def _or_none(read: Reader[Secret]) -> Reader[Secret]:
    return lambda value: NO_SECRET if value == "" else read(value)


def _file_in(folder: Path) -> Reader[Path | None]:
    """The absolute path of a file that is there; nothing for empty text."""

    def read(value: object) -> Path | None:
        if value == "":
            return None
        path = folder / _folder(value)
        if not path.is_file():
            raise WrongValue("there is no such file", "a relative path begins at this file's folder", show(str(value)))
        return path

    return read


_rpc_url = url("http", "https", hint="write an http:// or https:// URL; those of websockets go into ws_urls")
_ws_url = url("ws", "wss", hint="write a ws:// or wss:// URL; those of HTTP go into rpc_urls")
_symbol = text("write a symbol of up to 16 characters", longest=16)
_exchange = text('write its name in lower case, as in "binance"', pattern=r"[a-z0-9]+", longest=40)
