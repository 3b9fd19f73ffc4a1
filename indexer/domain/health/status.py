"""How a stream is doing, as operators and clients are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple

from indexer.domain.accounts.amounts import Slot, Wallet
from indexer.domain.accounts.breaker import Breaker
from indexer.domain.chain import Holding
from indexer.domain.health.incidents import Incidents
from indexer.domain.health.unread import Unread

BusState = Literal["connecting", "live", "catching_up", "lost", "refused"]
StreamState = Literal["starting", "catching_up", "live", "stale", "suspended", "stopped"]

STALE_SECONDS: Final = 3.0
"""Trouble that lasts longer is told, of chains and of accounts."""


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """What only an exchange account has to say: whether its venue may be asked, and how its wallets are known."""

    breaker: Breaker = field(default_factory=Breaker)
    streamed: tuple[Wallet, ...] = ()
    """Wallets whose changes are heard just now; all others are read again and again."""
    unsupported: Mapping[Wallet, str] = field(default_factory=dict)
    """Wallets that cannot be read, and why."""
    stale: tuple[Wallet, ...] = ()
    """Those of which no stream tells and no read was answered for three polls, or which cannot be read any more."""
    kept_out: tuple[Slot, ...] = ()
    """Those of which the newest word was not believed: what is shown is older than it."""
    answered: int = 0
    """Reads of wallets since the account's actor began; `failed` likewise."""
    failed: int = 0


class EndpointTrouble(NamedTuple):
    """An endpoint that is asked last (`aside`), or not at all (`lost`), and why."""

    endpoint: str
    health: Literal["aside", "lost"]
    reason: str


class Reached(NamedTuple):
    """How far a chain is known where events were told since its newest word on itself."""

    followed: int | None
    """The block up to which all is told."""
    sure: int
    """The block up to which a balance holds that no newer event is about: what cannot be read is known up to here."""


@dataclass(frozen=True, slots=True)
class NativesRead:
    """The block at which native balances were read last: all of them, and those that were read once more since."""

    at: int
    since: Mapping[Holding, int] = field(default_factory=dict)

    def held(self, holding: Holding) -> int:
        return self.since.get(holding, self.at)


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One stream's newest word on itself. `ready` once all first balances were committed and told."""

    stream: str
    name: str
    state: StreamState = "starting"
    ready: bool = False
    block: int | None = None
    block_time: datetime | None = None
    newest_block: int | None = None
    behind_since: datetime | None = None
    endpoint: str | None = None
    heads: Literal["ws", "poll"] | None = None
    seq: int = 0
    restarts: int = 0
    last_error: str | None = None
    queue_depth: int = 0
    account: AccountStatus | None = None
    incidents: Incidents = field(default_factory=Incidents)
    unread: Unread = field(default_factory=Unread)
    """Only chains have such, and incidents."""
    natives_read: NativesRead | None = None
    """Of a chain; nothing where native balances are read at every block."""
    troubles: tuple[EndpointTrouble, ...] = ()
    """Of a chain's endpoints, those that are not well."""
    reached: Reached | None = None
    """Nothing where both are `block`."""

    @property
    def lag_blocks(self) -> int:
        if self.block is None or self.newest_block is None:
            return 0
        return max(0, self.newest_block - self.block)

    def lag_seconds(self, now: datetime) -> float:
        """Seconds since a head that is not handled yet was first heard of, or nobody knows it; else 0."""
        return 0.0 if self.behind_since is None else max(0.0, (now - self.behind_since).total_seconds())


@dataclass(frozen=True, slots=True)
class BusStatus:
    """How publishing to NATS is doing; `done` is the last number of each stream that is stored there."""

    server: str
    stream: str
    state: BusState = "connecting"
    last_error: str | None = None
    published: int = 0
    skipped: int = 0
    reconnects: int = 0
    done: Mapping[str, int] = field(default_factory=dict)

    def lag(self, told: Mapping[str, int]) -> int:
        """How many events were told and are not stored there."""
        return sum(max(0, seq - self.done.get(stream, 0)) for stream, seq in told.items())
