"""Everything that can be told under a sequence number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from indexer.domain.accounts.facts import AccountFact
from indexer.domain.balances import BalanceUpdated, Cause, Finality
from indexer.domain.chain import BlockHash, BlockRef, Head, Holding, TokenInfo, Transfer, TxHash
from indexer.domain.following.finality import Settled


@dataclass(frozen=True, slots=True)
class Orphaned:
    """A record that a reorg took back."""

    number: int
    hash: BlockHash
    balance: int


@dataclass(frozen=True, slots=True)
class BalanceReverted:
    """A reorg took back records of this balance; `balance` is what holds at the common ancestor, `block`.

    `anchor`: history has no older record that says so, so this one is kept as a record. The first one of a reorg tells
    which blocks it `left`: what was filled in of them goes with it.
    """

    chain_id: int
    holding: Holding
    previous: int
    balance: int
    block: BlockRef
    info: TokenInfo
    orphaned: tuple[Orphaned, ...]
    anchor: bool = False
    left: tuple[tuple[int, BlockHash], ...] = ()


@dataclass(frozen=True, slots=True)
class ChainFinalized:
    """The chain will not take this block back any more (or is unlikely to)."""

    chain_id: int
    block: BlockRef
    level: Finality


@dataclass(frozen=True, slots=True)
class StreamStale:
    """There is no trustworthy head."""

    chain_id: int
    reason: str
    block: int | None


@dataclass(frozen=True, slots=True)
class StreamLive:
    """Well again after `StreamStale`."""

    chain_id: int
    reason: str
    block: int | None


class Confirmed(NamedTuple):
    """A balance that is what it was, though blocks were passed over, and the record of it perhaps orphaned."""

    holding: Holding
    balance: int
    info: TokenInfo


class Passed(NamedTuple):
    """The blocks above `after` were passed over: their history is filled afterwards.

    The records of those who were `followed` hold up to there; of some of them there are `trailing` logs that no record
    accounts for.
    """

    after: BlockRef
    followed: tuple[Holding, ...]
    trailing: tuple[Holding, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamResync:
    """Everything is read again at `block`, because the blocks up to it cannot be followed one by one.

    After a reorg deeper than the window, every record `above` that number is orphaned. Balances that are the same
    at the new `block` are `confirmed` there, those that differ follow as updates. `more` of them than fit one document
    follow in facts like it, which say nothing new otherwise.
    """

    chain_id: int
    reason: str
    block: BlockRef
    above: int | None = None
    confirmed: tuple[Confirmed, ...] = ()
    passed: Passed | None = None
    more: bool = False
    """It goes on with the one before it."""


class HistoryRow(NamedTuple):
    """A record of a block that was before us; `derived` when the Transfer logs say it, not a read.

    `transfers` and `unexplained` are what they are of a `BalanceUpdated`.
    """

    block: BlockRef
    balance: int
    change: int | None
    transactions: tuple[TxHash, ...]
    finality: Finality
    derived: bool
    transfers: tuple[Transfer, ...] = ()
    unexplained: int | None = None

    @property
    def cause(self) -> Cause:
        return "first" if self.change is None else "transfer"


class Joint(NamedTuple):
    """A record has another older neighbour now: what it was changed by, at its own block."""

    number: int
    change: int
    transactions: tuple[TxHash, ...]
    transfers: tuple[Transfer, ...] = ()
    unexplained: int | None = None
    block_hash: BlockHash | None = None
    """Of that record: another one may be in its place by now. Joints of before do not say."""


@dataclass(frozen=True, slots=True)
class HistoryFilled:
    """History of this balance from block `first` to `last` is there now; long ones are told in parts.

    `reason` says why it does not reach down to `first`, or why it is told without records. `void`: a reorg took this
    part of history back, and it will be filled again.
    """

    chain_id: int
    holding: Holding
    first: int
    last: int
    rows: tuple[HistoryRow, ...]
    info: TokenInfo
    job: str
    reason: str | None = None
    joint: Joint | None = None
    void: bool = False
    final: bool = False
    """The last part that this job tells."""

    @property
    def derived(self) -> bool:
        return any(row.derived for row in self.rows)


ChainFact = BalanceUpdated | BalanceReverted | ChainFinalized | StreamStale | StreamLive | StreamResync | HistoryFilled
"""What is told about a chain: each names its `chain_id`."""

Fact = ChainFact | AccountFact


def chain_id_of(fact: Fact) -> int | None:
    """The chain that it is about; nothing for a fact about an exchange account."""
    chain_id: int | None = getattr(fact, "chain_id", None)
    return chain_id


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a stream has been followed, and which blocks of it are settled."""

    head: Head
    settled: Settled | None = None
