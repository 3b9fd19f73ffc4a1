"""What re-reading stored records at their blocks came to."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.domain.recording.records import BalanceRecord


@dataclass(frozen=True, slots=True)
class Difference:
    """The node says otherwise at the record's own block; nothing was `read` where that block is orphaned."""

    record: BalanceRecord
    read: int | None


@dataclass(frozen=True, slots=True)
class Wait:
    """A chain of which so many `records` are still to be read; its node has last answered so many `seconds` ago."""

    chain_id: int
    name: str
    endpoint: str
    records: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A chain whose node was waited for long enough: so many `records` of it were not read, and this is why."""

    chain_id: int
    name: str
    endpoint: str
    records: int
    reason: str


@dataclass(frozen=True, slots=True)
class Audit:
    """`unreadable` are those whose state no endpoint has any more, or could tell; `skipped` are derived, never read."""

    checked: int
    differing: tuple[Difference, ...]
    unreadable: int
    skipped: int
    unanswered: tuple[Unanswered, ...] = ()
