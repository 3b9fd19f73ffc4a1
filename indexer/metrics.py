"""What the service counts about itself, for Prometheus: base units, bounded labels, never an address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

Stage = Literal["arrival", "logs", "reads", "write", "publish"]
STAGES: Final[tuple[Stage, ...]] = ("arrival", "logs", "reads", "write", "publish")

_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_DEPTHS: Final = (1, 2, 3, 5, 8, 13, 32, 64, 128, 256)


class Metrics:
    """A registry of its own, so that two services in one program do not mix.

    Every method is cheap, never raises and never waits; those who may not import this are given the method itself.
    """

    def __init__(self, *, version: str = "unknown") -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(namespace="indexer", registry=self._registry)
        self._gauge("build_info", "Always 1; the label tells the version.", "version").labels(version).set(1)
        self._chains: dict[str, ChainMetrics] = {}
        self._families = _ChainFamilies(self._registry)
        self._exchanges = _ExchangeFamilies(self._registry)
        self._rpc = self._histogram(
            "rpc_request_seconds", "HTTP requests to nodes.", "chain", "endpoint", "method", "outcome"
        )
        self._switches = self._counter("endpoint_switches", "Changes to another endpoint of a chain.", "chain")
        self._hedges = self._counter("endpoint_hedges", "Questions that a second endpoint was asked, too.", "chain")
        self._others = self._counter(
            "endpoint_other_blocks", "Reads answered for another block than asked.", "chain", "endpoint"
        )
        self._health = self._gauge("endpoint_health", "1 well, 0.5 set aside, 0 lost.", "chain", "endpoint")
        self._set_aside = self._counter("endpoint_quarantines", "Times set aside.", "chain", "endpoint")
        self._pace = self._gauge("endpoint_calls_per_second", "Calls that we allow ourselves.", "chain", "endpoint")
        self._reconnects = self._counter("websocket_reconnects", "Node websockets opened again.", "chain")
        self._restarts = self._counter("actor_restarts", "Actors started again after they failed.", "actor")
        self._inbox = self._gauge("inbox_depth", "Messages that wait for an actor.", "actor")
        self._subscribers = self._gauge("subscribers", "Websocket subscribers that are connected.")
        self._tasks = self._gauge("tasks", "Tasks on the event loop.")
        self._conflations = self._counter("conflations", "Times that a slow subscriber was conflated.")
        self._conflated = self._counter("conflated_events", "Events that slow subscribers did not get one by one.")
        self._dropped = self._counter("subscribers_dropped", "Subscribers that were closed by us.", "reason")
        self._store = self._histogram("store_seconds", "Calls to the store.", "operation", "outcome")
        self.bus = BusMetrics(self._registry)
        self._http = self._histogram("http_request_seconds", "Answers of the API.", "method", "route", "status")

    def chain(self, chain: str) -> ChainMetrics:
        """Everything that one chain counts, with its label bound."""
        if chain not in self._chains:
            self._chains[chain] = ChainMetrics(self._families, chain)
        return self._chains[chain]

    def forget_chain(self, chain: str) -> None:
        """It is not followed any more: what is told of its present would be told for ever. Counts stay."""
        self._chains.pop(chain, None)
        families = self._families
        presents = (families.lag_blocks, families.lag_seconds, families.backfill_jobs, families.backfill_remaining)
        for gauge in (*presents, families.unreadable, self._health, self._pace):
            gauge.remove_by_labels({"chain": chain})

    def exchange(self, exchange: str) -> ExchangeMetrics:
        """Everything that the accounts of one exchange count, with its label bound."""
        return ExchangeMetrics(self._exchanges, exchange)

    def rpc_request(self, chain: str, endpoint: str, method: str, outcome: str, seconds: float) -> None:
        """`endpoint` is its name or host, never its whole URL; `method` is `batch` where many are in one."""
        self._rpc.labels(chain, endpoint, method, outcome).observe(seconds)

    def endpoint_switched(self, chain: str) -> None:
        self._switches.labels(chain).inc()

    def endpoint_hedged(self, chain: str) -> None:
        self._hedges.labels(chain).inc()

    def endpoint_other_block(self, chain: str, endpoint: str) -> None:
        self._others.labels(chain, endpoint).inc()

    def endpoint_health(self, chain: str, endpoint: str, health: Literal["well", "aside", "lost"]) -> None:
        self._health.labels(chain, endpoint).set({"well": 1.0, "aside": 0.5, "lost": 0.0}[health])
        if health == "aside":
            self._set_aside.labels(chain, endpoint).inc()

    def endpoint_pace(self, chain: str, endpoint: str, calls_per_second: float) -> None:
        """Infinite where the endpoint never complained."""
        self._pace.labels(chain, endpoint).set(calls_per_second)

    def websocket_reconnected(self, chain: str) -> None:
        self._reconnects.labels(chain).inc()

    def actor_restarted(self, actor: str) -> None:
        self._restarts.labels(actor).inc()

    def watch_inbox(self, actor: str, depth: Callable[[], int]) -> None:
        """`depth` is asked whenever metrics are read; a restarted actor takes its predecessor's place."""
        self._inbox.labels(actor).set_function(depth)

    def forget_actor(self, actor: str) -> None:
        """What it was about is not followed any more, and its name may never come again."""
        for family in (self._inbox, self._restarts):
            family.remove_by_labels({"actor": actor})

    def watch_subscribers(self, count: Callable[[], int]) -> None:
        self._subscribers.set_function(count)

    def watch_tasks(self, count: Callable[[], int]) -> None:
        self._tasks.set_function(count)

    def subscriber_conflated(self, events: int) -> None:
        self._conflations.inc()
        self._conflated.inc(events)

    def subscriber_dropped(self, reason: str) -> None:
        """`reason` is one of a few words, not a sentence."""
        self._dropped.labels(reason).inc()

    def store_call(self, operation: str, outcome: str, seconds: float) -> None:
        self._store.labels(operation, outcome).observe(seconds)

    def http_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is the pattern, such as `/api/v1/solvers/{name}`."""
        self._http.labels(method, route, str(status)).observe(seconds)

    def render(self) -> tuple[bytes, str]:
        """The exposition and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, namespace="indexer", registry=self._registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(name, about, labels, namespace="indexer", registry=self._registry)

    def _histogram(self, name: str, about: str, *labels: str) -> Histogram:
        return Histogram(name, about, labels, namespace="indexer", registry=self._registry, buckets=_SECONDS)


class BusMetrics:
    """What publishing on NATS counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(name, about, labels, namespace="indexer", registry=registry)

        def gauge(name: str, about: str) -> Gauge:
            return Gauge(name, about, namespace="indexer", registry=registry)

        self._published = counter("nats_events_published", "Events that are stored on NATS.")
        self._skipped = counter("nats_events_skipped", "Events that NATS will never get.")
        self._failures = counter("nats_failures", "Connections that failed or ended.", "outcome")
        self._reconnects = counter("nats_reconnects", "Times that publishing went on after a failure.")
        self._lag = gauge("nats_lag_events", "Events that were told and are not stored on NATS.")
        self._connected = gauge("nats_connected", "1 while NATS takes what is published.")
        self._seconds = Histogram(
            "nats_publish_seconds",
            "From sending events to knowing that they are stored.",
            namespace="indexer",
            registry=registry,
            buckets=_SECONDS,
        )

    def watch(self, *, lag: Callable[[], float], connected: Callable[[], float]) -> None:
        """Asked whenever metrics are read."""
        self._lag.set_function(lag)
        self._connected.set_function(connected)

    def published(self, events: int, seconds: float) -> None:
        self._published.inc(events)
        self._seconds.observe(seconds)

    def skipped(self, events: int) -> None:
        self._skipped.inc(events)

    def failed(self, outcome: str) -> None:
        """`lost` or `refused`."""
        self._failures.labels(outcome).inc()

    def reconnected(self) -> None:
        self._reconnects.inc()


class ChainMetrics:
    """What one chain's actor counts; made by `Metrics.chain`."""

    def __init__(self, families: _ChainFamilies, chain: str) -> None:
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

    def gap(self, blocks: int) -> None:
        """Heads that were never announced and had to be asked for."""
        self._gaps.inc()
        self._missed.inc(blocks)

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


class _ExchangeFamilies:
    """The metrics that carry the label `exchange`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(name, about, ("exchange", *labels), namespace="indexer", registry=registry)

        self.arrivals = counter("account_arrivals", "What accounts' streams said, by kind.", "kind")
        self.reads = counter("account_reads", "Wallets read over REST, by outcome.", "outcome")
        self.drift = counter("account_drift", "Changes that a read found and the stream did not tell.")
        self.refused = counter("account_refused_amounts", "Amounts that broke a rule and were kept out.", "rule")
        self.records = counter("account_records", "Records of accounts committed.")
        self.events = counter("account_events", "Events of accounts committed.")
        self.breakers = Gauge(
            "account_breakers",
            "Accounts whose circuit breaker is in this state.",
            ("exchange", "state"),
            namespace="indexer",
            registry=registry,
        )


class ExchangeMetrics:
    """What the accounts of one exchange count; made by `Metrics.exchange`."""

    def __init__(self, families: _ExchangeFamilies, exchange: str) -> None:
        self._families = families
        self._exchange = exchange

    def watch_breakers(self, state: str, count: Callable[[], float]) -> None:
        """Asked whenever metrics are read."""
        self._families.breakers.labels(self._exchange, state).set_function(count)

    def arrived(self, kind: str) -> None:
        self._families.arrivals.labels(self._exchange, kind).inc()

    def read(self, outcome: str) -> None:
        """`outcome` is `ok` or an error's name."""
        self._families.reads.labels(self._exchange, outcome).inc()

    def drifted(self, count: int) -> None:
        self._families.drift.labels(self._exchange).inc(count)

    def refused(self, rule: str) -> None:
        self._families.refused.labels(self._exchange, rule).inc()

    def committed(self, *, records: int, events: int) -> None:
        self._families.records.labels(self._exchange).inc(records)
        self._families.events.labels(self._exchange).inc(events)


class _ChainFamilies:
    """The metrics that carry the label `chain`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, about: str) -> Counter:
            return Counter(name, about, ("chain",), namespace="indexer", registry=registry)

        def gauge(name: str, about: str) -> Gauge:
            return Gauge(name, about, ("chain",), namespace="indexer", registry=registry)

        def histogram(name: str, about: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, about, labels, namespace="indexer", registry=registry, buckets=buckets)

        self.lag_blocks = gauge("head_lag_blocks", "Blocks that are known and not handled yet.")
        self.lag_seconds = gauge("head_lag_seconds", "Time since the oldest head that is not handled yet.")
        self.latency = histogram(
            "head_to_event_seconds", "From a head to its events, by stage.", ("chain", "stage"), _SECONDS
        )
        self.blocks = counter("blocks", "Blocks handled.")
        self.records = counter("records", "Balance records committed.")
        self.events = counter("events", "Events committed.")
        self.reorgs = counter("reorgs", "Reorganisations repaired.")
        self.depth = histogram("reorg_depth_blocks", "How many of our blocks a reorg took back.", ("chain",), _DEPTHS)
        self.resyncs = counter("resyncs", "Times that everything was read anew, as blocks could not be followed.")
        self.doubted = counter("reorgs_doubted", "Reorganisations that were not believed at once.")
        self.gaps = counter("gaps", "Times that heads were missed.")
        self.missed = counter("gap_blocks", "Heads that were missed.")
        self.drift = counter("drift_balances", "Balances that a full read found to differ.")
        self.left_out = Counter(
            "logs_left_out",
            "Logs that were not in an answer about their block, by what they were found.",
            ("chain", "found"),
            namespace="indexer",
            registry=registry,
        )
        self.unplaced = counter(
            "native_search_failures", "Native balances whose block of change could not be searched: its state is gone."
        )
        self.unreadable = gauge("unreadable_tokens", "Watched tokens that do not tell their balances just now.")
        self.unread = counter("unreadable_balances", "Balances that a token did not tell when it was asked.")
        self.backfill_jobs = gauge("backfill_jobs", "Orders to fill history that are not done.")
        self.backfill_remaining = gauge("backfill_remaining_blocks", "Blocks of history that are not looked at yet.")
        self.backfilled_blocks = counter("backfilled_blocks", "Blocks of history looked at.")
        self.backfilled_records = counter("backfilled_records", "Records of history told.")
        self.audited = counter("audited_records", "Stored records that an audit read again.")
        self.differing = counter("audit_differences", "Stored records that an audit found to differ.")
