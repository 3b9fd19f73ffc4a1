"""The frozen words that actors say to each other: facts in the past tense, orders in the imperative."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from indexer.domain.balances import Watch
from indexer.domain.chain import Address, Head, Holding, TokenInfo
from indexer.domain.following.finality import Level, Tags
from indexer.domain.telling.commits import Commit


@dataclass(frozen=True, slots=True)
class Begin:
    """The first message: start-up work, so that its failure is seen."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The time to wait after a transient trouble is over; `turn` tells a late one from the newest."""

    turn: int


@dataclass(frozen=True, slots=True)
class GoOn:
    """There is more to catch up with; messages that came meanwhile had their turn."""


@dataclass(frozen=True, slots=True)
class ReadOn:
    """More is due to be read than one turn is for; messages that came meanwhile had theirs."""


@dataclass(frozen=True, slots=True)
class WatchChanged:
    """Other tokens or solvers are watched from now on."""

    watch: Watch


@dataclass(frozen=True, slots=True)
class Refresh:
    """Read this holding now, at the newest block; answers once it is committed."""

    holding: Holding
    until: float = math.inf
    """By the loop's clock: nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True)
class SyncEvery:
    """Read everything again this often from now on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Differed:
    """These balances were read again, and were not what our records say; or they could not be read before."""

    holdings: frozenset[Holding]


@dataclass(frozen=True, slots=True)
class Failed:
    """These balances could not be read at this block, each with the reason: their tokens do not tell."""

    block: Head
    why: Mapping[Holding, str]


@dataclass(frozen=True, slots=True)
class TokensChanged:
    """These tokens say something else of themselves than is kept; of others that were awaited, `asked` do not."""

    infos: Mapping[Address, TokenInfo]
    asked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TagsRead:
    """The node was asked which of its blocks are safe and finalized, and for the one at the height of ours `beside`.

    Levels that no node tells are told `by_depth`.
    """

    tags: Tags
    beside: Head | None
    by_depth: frozenset[Level] = frozenset()


@dataclass(frozen=True, slots=True)
class Committed:
    """This commit is in the log."""

    commit: Commit


@dataclass(frozen=True, slots=True)
class BranchLeft:
    """The chain's live actor went over to another branch."""


@dataclass(frozen=True, slots=True)
class BalancesRead:
    """A chain read what was to be read, some of it for the first time."""

    holdings: frozenset[Holding]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A chain passes over blocks, and says so under this number: what is to be filled is found once it is projected.

    So it does with those in which nobody watched a balance that is watched again.
    """

    stream: str
    seq: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """A stream's writer (re)started and found this as the last number in the log."""

    stream: str
    seq: int


@dataclass(frozen=True, slots=True)
class Project:
    """Write what is pending into the collections that queries read."""


@dataclass(frozen=True, slots=True)
class ChildDied:
    """An actor under supervision ended with this error."""

    name: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class RestartDue:
    """A child's pause after its death is over."""

    name: str
