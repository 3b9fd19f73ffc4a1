"""The frozen words of account actors: facts in the past tense, orders in the imperative."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.arrivals import Arrival, FundingsSeen, PositionsSeen, Snapshot
from indexer.errors import IndexerError


@dataclass(frozen=True, slots=True)
class Arrived:
    """The venue's stream said something."""

    arrival: Arrival


@dataclass(frozen=True, slots=True)
class WalletRead:
    """A read of one wallet ended: with a snapshot of what it was after `asked`, or with why there is none."""

    wallet: Wallet
    asked: float
    outcome: Snapshot | IndexerError


@dataclass(frozen=True, slots=True)
class PositionsRead:
    """A read of the positions ended; without an outcome it failed."""

    outcome: PositionsSeen | None


@dataclass(frozen=True, slots=True)
class FundingsRead:
    """A read of the funding payments since the newest known one ended; without an outcome it failed."""

    outcome: FundingsSeen | None


@dataclass(frozen=True, slots=True)
class LookAround:
    """A moment passed: see what is silent, due or over."""


@dataclass(frozen=True, slots=True)
class RefreshWallets:
    """Read these wallets now; `done` is set once what they hold is committed.

    All when none is named: then those that the key may not read are no reason to fail, while it may read another.
    """

    wallets: frozenset[Wallet]
    done: asyncio.Future[None]
