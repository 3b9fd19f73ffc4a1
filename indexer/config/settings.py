"""What can be set: one frozen value per table, named after its keys. Every default stands here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from indexer.addresses import Address
from indexer.config.mongodb import store_secrets
from indexer.masking import Secret, Url, url_secrets

Wallet = Literal[
    "spot", "margin", "isolated", "futures", "coin_futures", "options", "funding", "earn", "unified", "portfolio"
]
Scope = Literal["read", "write", "admin"]
LogFormat = Literal["auto", "console", "json"]
NatsStart = Literal["kept", "new"]
Rule = Literal[
    "negative_balance",
    "negative_free_balance",
    "hold_exceeds_balance",
    "source_inconsistency",
    "unrealistic_balance",
    "stale_data",
    "precision_overflow",
]
Severity = Literal["info", "warning", "error"]

NO_SECRET = Secret("")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that a client may come with, and what it allows."""

    name: str
    key: Secret
    scopes: tuple[Scope, ...] = ("read",)


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """`[service]`: where it listens, where its data is, who may ask. `data_dir` is absolute."""

    host: str = "127.0.0.1"
    port: int = 8080
    data_dir: Path = Path("data")
    log_format: LogFormat = "auto"
    api_keys: tuple[ApiKey, ...] = ()
    allow_anonymous: bool = False
    master_key: Secret = NO_SECRET


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """`[store]`: `embedded`, `memory`, or a MongoDB URL. 0 days keep everything."""

    url: str = "embedded"
    database: str = "indexer"
    history_days: int = 0


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """`[chains.<name>]`: a chain to follow; `rpc_urls` and `ws_urls` are in order of preference."""

    name: str
    chain_id: int
    rpc_urls: tuple[str, ...]
    ws_urls: tuple[str, ...] = ()
    native_symbol: str = "ETH"
    tokens: tuple[Address, ...] = ()
    start_block: int | Literal["latest"] = "latest"
    sync_interval_seconds: int = 300
    reorg_window_blocks: int = 256
    native_interval_blocks: int = 1


@dataclass(frozen=True, slots=True)
class SolverSettings:
    """`[solvers.<name>]`: a wallet to watch; `chains` are names from the file, none means all."""

    name: str
    address: Address
    chains: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RulesSettings:
    """`[rules]`: what is believed of exchange accounts, and which changes are told twice."""

    change_absolute: Decimal = Decimal(0)
    change_percent: Decimal = Decimal(1)
    tolerance: Decimal = Decimal("0.00000001")
    relative_tolerance: Decimal = Decimal("0.00000001")
    largest_balance: Decimal = Decimal(10) ** 18
    largest_jump: Decimal = Decimal(10) ** 6
    stale_seconds: int = 300
    most_digits: int = 60
    most_decimals: int = 30
    severities: Mapping[Rule, Severity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """`[exchanges.<name>]`: an account to watch; `base_url` points it at another host."""

    name: str
    exchange: str
    api_key: Secret = NO_SECRET
    secret: Secret = NO_SECRET
    password: Secret = NO_SECRET
    uid: Secret = NO_SECRET
    account_id: Secret = NO_SECRET
    login: Secret = NO_SECRET
    token: Secret = NO_SECRET
    twofa: Secret = NO_SECRET
    private_key: Secret = NO_SECRET
    wallet_address: Secret = NO_SECRET
    wallets: tuple[Wallet, ...] = ()
    sandbox: bool = False
    poll_seconds: int = 0
    base_url: str = ""
    rules: RulesSettings = field(default_factory=RulesSettings)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All but the address, which is public."""
        known = (self.api_key, self.secret, self.password, self.private_key, self.token, self.twofa)
        return (*known, self.uid, self.account_id, self.login)


@dataclass(frozen=True, slots=True)
class NatsSettings:
    """`[nats]`: where every event is published; nowhere while `url` is empty. Files are absolute paths."""

    url: str = ""
    user: str = ""
    password: Secret = NO_SECRET
    token: Secret = NO_SECRET
    credentials_file: Path | None = None
    tls_ca_file: Path | None = None
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    stream: str = "indexer"
    stream_days: int = 7
    stream_megabytes: int = 0
    stream_replicas: int = 1
    start: NatsStart = "kept"

    @property
    def urls(self) -> tuple[str, ...]:
        """Servers of one cluster, in order of preference."""
        return tuple(Url(url) for url in self.url.split(",") if url)

    def secrets(self) -> Iterator[str]:
        yield from (self.password.reveal(), self.token.reveal())
        for parts in map(urlsplit, self.urls):
            # A user without a password is a token.
            yield unquote((parts.username if parts.password is None else parts.password) or "")


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole file, checked. `path` is the file it came from."""

    service: ServiceSettings = field(default_factory=ServiceSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    chains: Mapping[str, ChainSettings] = field(default_factory=dict)
    solvers: Mapping[str, SolverSettings] = field(default_factory=dict)
    exchanges: Mapping[str, ExchangeSettings] = field(default_factory=dict)
    rules: RulesSettings = field(default_factory=RulesSettings)
    nats: NatsSettings = field(default_factory=NatsSettings)
    path: Path | None = None

    def secrets(self) -> Iterator[str]:
        """Everything in here that no log line may show."""
        yield self.service.master_key.reveal()
        for api_key in self.service.api_keys:
            yield api_key.key.reveal()
        for exchange in self.exchanges.values():
            yield from (secret.reveal() for secret in exchange.secrets)
        yield from self.nats.secrets()
        yield from store_secrets(self.store.url)
        for url in self._urls():
            yield from url_secrets(url)

    def _urls(self) -> Iterator[str]:
        yield from self.nats.urls
        for chain in self.chains.values():
            yield from (*chain.rpc_urls, *chain.ws_urls)
        for exchange in self.exchanges.values():
            yield exchange.base_url
