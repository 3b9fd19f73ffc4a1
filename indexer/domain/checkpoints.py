"""What is remembered of a stream between two runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from indexer.domain.balances import Trail, Watch
from indexer.domain.chain import Head


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """The newest heads that were followed, oldest first, and the last number that queries can see.

    `trail` holds the logs without a record as they were after the commit that ends with number `seq`, and after the
    newest of the heads; `watch` is what was watched then.
    """

    heads: tuple[Head, ...] = ()
    projected: int = 0
    seq: int = 0
    trail: Trail = field(default_factory=dict)
    watch: Watch | None = None
