"""What is remembered of a stream between two runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from indexer.domain.balances import Trail, Watch
from indexer.domain.chain import Head, Holding
from indexer.domain.following.finality import Settled
from indexer.domain.health.incidents import Incidents
from indexer.domain.health.unread import Unread


class SilentCut(NamedTuple):
    """A reorg to block `number` that took back no record, so that no commit tells of it; `seq` is the last one before.

    What was read above that block until then was read on another branch.
    """

    number: int
    seq: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What was known beside the newest block that was handled, and after the commit that ends with number `seq`.

    `trail` holds the logs without a record; without a `watch`, it is the one that was stored before. `natives` is the
    block at which all native balances were read last; without one, the newest that was handled. `natives_before` are
    the blocks of earlier readings that a reorg may go back to. `returned` are those
    that are watched again and not recorded since. Of those that were `unread`, it is not kept how far they held.
    """

    seq: int = 0
    trail: Trail = field(default_factory=dict)
    settled: Settled = field(default_factory=Settled)
    watch: Watch | None = None
    natives: int | None = None
    natives_before: tuple[int, ...] = ()
    incidents: Incidents = field(default_factory=Incidents)
    returned: frozenset[Holding] = frozenset()
    cuts: tuple[SilentCut, ...] = ()
    unread: Unread = field(default_factory=Unread)


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """The newest heads that were followed, oldest first, and the last number that queries can see.

    `left` is the last number that was told before nobody followed the stream for a while.
    """

    heads: tuple[Head, ...] = ()
    projected: int = 0
    mark: Mark = field(default_factory=Mark)
    left: int = 0
