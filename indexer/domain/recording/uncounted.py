"""Records whose change only the store can tell: the one below them is not what was known when they were told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from indexer.domain.recording.records import JOINED, BalanceRecord, HoldingKey, Projection, RecordKey


def uncounted(projection: Projection) -> tuple[RecordKey, ...]:
    """Those whose change is known only once the record below them is, if there is one."""
    return tuple(key for key, row in projection.records.items() if row.cause in JOINED and row.change is None)


def counted(projection: Projection, stored: Mapping[RecordKey, BalanceRecord]) -> Mapping[RecordKey, BalanceRecord]:
    """All of its records; `stored` are the records below those that are uncounted, where the store has one.

    Clients were told the change from what was known then.
    """
    unsure = uncounted(projection)
    if not unsure:
        return projection.records
    numbers: dict[HoldingKey, list[int]] = {}
    for chain_id, holding, number in projection.records:
        numbers.setdefault(HoldingKey(chain_id, holding), []).append(number)
    rows = dict(projection.records)
    for key in unsure:
        older = stored.get(key)
        below = max((one for one in numbers[HoldingKey(*key[:2])] if one < key.number), default=-1)
        is_nearer = older is None or older.block.number < below
        rows[key] = over(rows[key], projection.records.get(key._replace(number=below), older) if is_nearer else older)
    return rows


def recounted(row: BalanceRecord, below: BalanceRecord | None) -> BalanceRecord:
    """The same over another record than before, or none: history was filled up to there, or is gone, not next to it."""
    if below is None:
        return over(row, None)
    change = row.balance - below.balance
    if row.change == change:
        return row
    if row.cause in JOINED or row.joined or row.apart:
        return over(row, below)
    return replace(row, change=change, unexplained=None)


def over(row: BalanceRecord, below: BalanceRecord | None) -> BalanceRecord:
    """With what it changed since the record below, though nobody knows what happened in between.

    One that is the oldest says so. Others were found by reading: it happened at their block, or before.
    """
    if below is None:
        return replace(row, cause="first", change=None, unexplained=None, joined=False)
    change = row.balance - below.balance
    if row.cause == "resync":
        return replace(row, change=change, unexplained=None, joined=False)
    return replace(row, cause="sync", change=change, unexplained=None, joined=False, apart=True)
