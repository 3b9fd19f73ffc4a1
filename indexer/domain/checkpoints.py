"""What is remembered of a stream between two runs."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.domain.chain import Head


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """The newest heads that were followed, oldest first, and the last number that queries can see."""

    heads: tuple[Head, ...] = ()
    projected: int = 0
