"""What re-reading stored records at their blocks came to."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.domain.records import BalanceRecord


@dataclass(frozen=True, slots=True)
class Difference:
    """The node says otherwise at the record's own block; nothing was `read` where that block is orphaned."""

    record: BalanceRecord
    read: int | None


@dataclass(frozen=True, slots=True)
class Audit:
    """`unreadable` are those whose state no endpoint has any more; `skipped` are derived, so never read."""

    checked: int
    differing: tuple[Difference, ...]
    unreadable: int
    skipped: int
