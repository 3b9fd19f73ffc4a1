"""What the actors of chains count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from prometheus_client import CollectorRegistry

from indexer.metrics.families import Families

Stage = Literal["arrival", "logs", "reads", "write", "publish"]
STAGES: Final[tuple[Stage, ...]] = ("arrival", "logs", "reads", "write", "publish")

_DEPTHS: Final = (1, 2, 3, 5, 8, 13, 32, 64, 128, 256)


class ChainMetrics:
    """What one chain's actor counts; made by `Metrics.chain`."""

    def __init__(self, families: ChainFamilies, chain: str) -> None:
        self._families, self._chain = families, chain
        self._lag_blocks = families.lag_blocks.labels(chain)
        self._lag_seconds = families.lag_seconds.labels(chain)
        self._stages = {stage: families.latency.labels(chain, stage) for stage in STAGES}
        self._blocks = families.blocks.labels(chain)
        self._records = families.records.labels(chain)
        self._events = families.events.labels(chain)
        self._depth = families.depth.labels(chain)
        self._reorgs = families.reorgs.labels(chain)
        self._resyncs = families.resyncs.labels(chain)
        self._doubted = families.doubted.labels(chain)
        self._gaps = families.gaps.labels(chain)
        self._missed = families.missed.labels(chain)
        self._drift = families.drift.labels(chain)
        self._unplaced = families.unplaced.labels(chain)
        self._unreadable = families.unreadable.labels(chain)
        self._unread = families.unread.labels(chain)
        self._audited = families.audited.labels(chain)
        self._backfill_jobs = families.backfill_jobs.labels(chain)
        self._backfill_remaining = families.backfill_remaining.labels(chain)
        self._backfilled_blocks = families.backfilled_blocks.labels(chain)
        self._backfilled_records = families.backfilled_records.labels(chain)
        self._differing = families.differing.labels(chain)

    def watch_lag(self, *, blocks: Callable[[], float], seconds: Callable[[], float]) -> None:
        """Asked whenever metrics are read, so that the lag of a chain that stands still grows."""
        self._lag_blocks.set_function(blocks)
        self._lag_seconds.set_function(seconds)

    def stage(self, stage: Stage, seconds: float) -> None:
        self._stages[stage].observe(seconds)

    def block_done(self) -> None:
        self._blocks.inc()

    def committed(self, *, records: int, events: int) -> None:
        """Every commit, whatever brought it: a block, a reorg, a sync, a refresh, silence."""
        self._records.inc(records)
        self._events.inc(events)

    def reorged(self, depth: int) -> None:
        self._reorgs.inc()
        self._depth.observe(depth)

    def resynced(self) -> None:
        self._resyncs.inc()

    def doubted(self) -> None:
        """Something spoke for a reorg, and not enough of it did."""
        self._doubted.inc()

    def gap(self, blocks: int, *, goes_on: bool = False) -> None:
        """Heads that were never announced and had to be asked for, up to one that was."""
        if not goes_on:
            self._gaps.inc()
        self._missed.inc(max(blocks, 0))

    def left_out(self, found: str, count: int) -> None:
        """Logs that were not in an answer, or balances that moved without one; `found` is one of three words."""
        self._families.left_out.labels(self._chain, found).inc(count)

    def unplaced(self, balances: int) -> None:
        """Native changes that are recorded at the block where they were seen, not the one where they happened."""
        self._unplaced.inc(balances)

    def drifted(self, balances: int) -> None:
        """Balances that a full read found different from what was stored."""
        self._drift.inc(balances)

    def unreadable(self, tokens: int, balances: int) -> None:
        """So many tokens do not tell what we ask them just now; so many balances could not be read once more."""
        self._unreadable.set(tokens)
        self._unread.inc(balances)

    def watch_backfill(self, *, jobs: Callable[[], float], blocks: Callable[[], float]) -> None:
        """Asked whenever metrics are read: what is still to be done of history."""
        self._backfill_jobs.set_function(jobs)
        self._backfill_remaining.set_function(blocks)

    def backfilled(self, blocks: int, records: int) -> None:
        """Blocks of history looked at, and records of it told."""
        self._backfilled_blocks.inc(blocks)
        self._backfilled_records.inc(records)

    def audited(self, records: int, differing: int) -> None:
        """Records that an audit read again, and those that were not what the chain says."""
        self._audited.inc(records)
        self._differing.inc(differing)


class ChainFamilies:
    """The metrics that carry the label `chain`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry, "chain")
        self.lag_blocks = make.gauge("head_lag_blocks", "Blocks that are known and not handled yet.")
        self.lag_seconds = make.gauge("head_lag_seconds", "Time since the oldest head that is not handled yet.")
        self.latency = make.histogram("head_to_event_seconds", "From a head to its events, by stage.", "stage")
        self.blocks = make.counter("blocks", "Blocks handled.")
        self.records = make.counter("records", "Balance records committed.")
        self.events = make.counter("events", "Events committed.")
        self.reorgs = make.counter("reorgs", "Reorganisations repaired.")
        self.depth = make.histogram("reorg_depth_blocks", "How many of our blocks a reorg took back.", buckets=_DEPTHS)
        self.resyncs = make.counter("resyncs", "Times that everything was read anew, as blocks could not be followed.")
        self.doubted = make.counter("reorgs_doubted", "Reorganisations that were not believed at once.")
        self.gaps = make.counter("gaps", "Times that heads were missed.")
        self.missed = make.counter("gap_blocks", "Heads that were missed.")
        self.drift = make.counter("drift_balances", "Balances that a full read found to differ.")
        self.left_out = make.counter(
            "logs_left_out", "Logs that were not in an answer about their block, by what they were found.", "found"
        )
        self.unplaced = make.counter(
            "native_search_failures", "Native balances whose block of change could not be searched: its state is gone."
        )
        self.unreadable = make.gauge("unreadable_tokens", "Watched tokens that do not tell their balances just now.")
        self.unread = make.counter("unreadable_balances", "Balances that a token did not tell when it was asked.")
        self.backfill_jobs = make.gauge("backfill_jobs", "Orders to fill history that are not done.")
        self.backfill_remaining = make.gauge(
            "backfill_remaining_blocks", "Blocks of history that are not looked at yet."
        )
        self.backfilled_blocks = make.counter("backfilled_blocks", "Blocks of history looked at.")
        self.backfilled_records = make.counter("backfilled_records", "Records of history told.")
        self.audited = make.counter("audited_records", "Stored records that an audit read again.")
        self.differing = make.counter("audit_differences", "Stored records that an audit found to differ.")
