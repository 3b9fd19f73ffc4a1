"""Records over a place where a reorg cut history off: what was told last is gone, so their change counts from below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from indexer.domain.records import BalanceRecord, HoldingKey, Projection, RecordKey


def uncounted(projection: Projection) -> tuple[RecordKey, ...]:
    """Those whose change is known only once the record below them is."""
    return tuple(key for key, row in projection.records.items() if row.cause == "resync" and row.change is None)


def counted(
    projection: Projection, stored: Mapping[RecordKey, BalanceRecord | None]
) -> Mapping[RecordKey, BalanceRecord]:
    """All of its records; `stored` are, for those that are uncounted, the records below them in the store.

    Without any below there is no change. Clients were told the change from what they knew.
    """
    if not stored:
        return projection.records
    numbers: dict[HoldingKey, list[int]] = {}
    for chain_id, holding, number in projection.records:
        numbers.setdefault(HoldingKey(chain_id, holding), []).append(number)
    rows = dict(projection.records)
    for key, older in stored.items():
        below = max((one for one in numbers[HoldingKey(*key[:2])] if one < key.number), default=-1)
        is_nearer = older is None or older.block.number < below
        nearest = projection.records.get(key._replace(number=below), older) if is_nearer else older
        rows[key] = replace(rows[key], change=None if nearest is None else rows[key].balance - nearest.balance)
    return rows
