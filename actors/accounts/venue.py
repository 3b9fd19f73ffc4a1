"""What an account's actor is handed: the venue it asks and hears, and what counts along."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.arrivals import Arrival, FundingsSeen, PositionsSeen, Snapshot


class Venue(Protocol):
    """One account at its exchange. Questions raise our errors; `listen` goes on until it is cancelled."""

    @property
    def endpoint(self) -> str: ...

    @property
    def wallets(self) -> tuple[Wallet, ...]: ...

    @property
    def streamed(self) -> frozenset[Wallet]:
        """Those of which the stream tells every change."""
        ...

    @property
    def has_positions(self) -> bool: ...

    @property
    def has_fundings(self) -> bool: ...

    async def read(self, wallet: Wallet, presses: Callable[[], bool]) -> Snapshot:
        """It goes before others that wait for their turn while it presses."""
        ...

    def believed(self, snapshot: Snapshot) -> None:
        """That answer is one: who asks again soon may have it."""
        ...

    async def positions(self) -> PositionsSeen: ...

    async def fundings(self, since: datetime | None) -> FundingsSeen: ...

    async def listen(self, on_arrival: Callable[[Arrival], None]) -> None: ...

    def reopen(self, reason: str) -> None:
        """What the stream said, or did not say, is not to be believed: begin it anew."""
        ...

    def tell_again(self, wallet: Wallet) -> None:
        """Have the stream say all that is in this wallet, where the venue does so: a read may have to wait."""
        ...


class Counts(Protocol):
    """What is counted of accounts, by exchange."""

    def arrived(self, kind: str) -> None: ...

    def read(self, outcome: str) -> None: ...

    def drifted(self, count: int) -> None: ...

    def refused(self, rule: str) -> None: ...

    def committed(self, *, records: int, events: int) -> None: ...
