"""History by its unique key, which also finds the newest records of a balance without a look at all others."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping

from indexer.domain.chain import Holding
from indexer.domain.recording.records import BalanceRecord, HoldingKey, RecordKey

_Row = tuple[RecordKey, BalanceRecord]


class Records(dict[RecordKey, BalanceRecord]):
    """Written one by one: `update` and its like would pass by the index."""

    def __init__(self, rows: Mapping[RecordKey, BalanceRecord] | Iterable[_Row] = ()) -> None:
        super().__init__(rows)
        self._numbers: dict[HoldingKey, list[int]] = {}
        for key in sorted(self, key=lambda key: key.number):
            self._of(key).append(key.number)

    def __setitem__(self, key: RecordKey, row: BalanceRecord) -> None:
        if key not in self:
            insort(self._of(key), key.number)
        super().__setitem__(key, row)

    def __delitem__(self, key: RecordKey) -> None:
        super().__delitem__(key)
        numbers = self._of(key)
        del numbers[bisect_left(numbers, key.number)]

    def newest_first(self, chain_id: int, holding: Holding) -> Iterator[BalanceRecord]:
        for number in reversed(self._numbers.get(HoldingKey(chain_id, holding), ())):
            yield self[RecordKey(chain_id, holding, number)]

    def _of(self, key: RecordKey) -> list[int]:
        return self._numbers.setdefault(HoldingKey(key.chain_id, key.holding), [])
