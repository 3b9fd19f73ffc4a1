"""Records that lie in the midst of what is filled, and that no log of their block need have led to.

Where an order was walked back from above them, it has to pass through what they say: the record above each has to
follow on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from indexer.domain.chain import Holding
from indexer.domain.history.backfill import Change, Chunk
from indexer.domain.recording.records import BalanceRecord

Crossed = Mapping[Holding, Sequence[BalanceRecord]]


def through(chunk: Chunk, changes: Iterable[Change], crossed: Crossed) -> list[Change]:
    """The chunk's changes, and among them the crossed records, as reads."""
    there = {
        (holding, record.block.number): record
        for holding, records in crossed.items()
        for record in records
        if chunk.first <= record.block.number <= chunk.last
    }
    if not there:
        return list(changes)
    met = [_as_read(change, there.pop((change.holding, change.block.number), None)) for change in changes]
    met += [Change(holding, record.block, 0, record.balance) for (holding, _), record in there.items()]
    return sorted(met, key=lambda change: (change.block.number, change.holding))


def _as_read(change: Change, record: BalanceRecord | None) -> Change:
    if record is None or record.derived or change.read is not None:
        return change
    return change._replace(read=record.balance)
