"""The parts of the API's ports that the websocket uses."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.records import AccountRecord
from indexer.domain.accounts.registry import Account
from indexer.domain.balances import Watch
from indexer.domain.chain import Address, Holding, Token
from indexer.domain.health.status import StreamStatus
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.telling.commits import Commit


class Log(Protocol):
    """The append-only log: what was missed, and how far it goes."""

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]: ...

    async def positions(self) -> dict[str, int]: ...


class CurrentBalances(Protocol):
    """The rows of a snapshot."""

    async def current(
        self,
        *,
        chain_id: int | None = None,
        token: Token | None = None,
        solver: Address | None = None,
        after: tuple[int, Token, Address] | None = None,
        limit: int = 100,
    ) -> list[BalanceRecord]: ...


class CurrentAmounts(Protocol):
    """The rows of a snapshot that are about exchange accounts."""

    async def current(
        self,
        account: AccountKey | None = None,
        *,
        wallets: Collection[str] | None = None,
        asset: str | None = None,
        after: tuple[str, str, str, str] | None = None,
        limit: int = 0,
    ) -> list[AccountRecord]: ...


class Followed(Protocol):
    """Which exchange accounts are followed, with their wallets."""

    def all(self) -> Sequence[Account]: ...


class Projected(Protocol):
    """How far the rows are."""

    def projected(self) -> Mapping[str, int]: ...

    async def caught_up(self) -> None: ...


class Watched(Protocol):
    """Which chains have which name, and what is shown of them."""

    def chains(self) -> Mapping[str, int]: ...

    def watch(self, chain_id: int) -> Watch: ...

    def due(self, chain_id: int) -> frozenset[Holding]: ...


class Streams(Protocol):
    """What heartbeats say."""

    def streams(self) -> Sequence[StreamStatus]: ...
