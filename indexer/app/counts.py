"""What is counted of chains by their ids, and shown in the metrics by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from actors.statusboard import StatusBoard
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.streams import account_of
from indexer.metrics import ChainMetrics, Metrics


class ChainCounts:
    """`chains` are those that are configured now; of one that was taken out meanwhile nothing is counted."""

    def __init__(self, *, metrics: Metrics, board: StatusBoard, chains: Callable[[], Mapping[str, int]]) -> None:
        self._metrics = metrics
        self._board = board
        self._chains = chains

    def published(self, commit: Commit, seconds: float) -> None:
        status = self._board.one(commit.stream)
        if status is not None and account_of(commit.stream) is None:  # an account is no chain, and has no such stages
            self._metrics.chain(status.name).stage("publish", seconds)

    def backfilled(self, chain_id: int, blocks: int, records: int) -> None:
        for metrics in self._of(chain_id):
            metrics.backfilled(blocks, records)

    def audited(self, chain_id: int, records: int, differing: int) -> None:
        for metrics in self._of(chain_id):
            metrics.audited(records, differing)

    def _of(self, chain_id: int) -> Iterator[ChainMetrics]:
        return (self._metrics.chain(name) for name, known in self._chains().items() if known == chain_id)
