"""The registry, and what is counted of the service as a whole, of endpoints and of clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest

from indexer.metrics.bus import BusMetrics
from indexer.metrics.chains import ChainFamilies, ChainMetrics
from indexer.metrics.exchanges import ExchangeFamilies, ExchangeMetrics
from indexer.metrics.families import Families


class Metrics:
    """A registry of its own, so that two services in one program do not mix.

    Every method is cheap, never raises and never waits; those who may not import this are given the method itself.
    """

    def __init__(self, *, version: str = "unknown") -> None:
        self._registry = CollectorRegistry()
        make = Families(self._registry)
        ProcessCollector(namespace="indexer", registry=self._registry)
        make.gauge("build_info", "Always 1; the label tells the version.", "version").labels(version).set(1)
        self._chains: dict[str, ChainMetrics] = {}
        self._families = ChainFamilies(self._registry)
        self._exchanges = ExchangeFamilies(self._registry)
        self._rpc = make.histogram(
            "rpc_request_seconds", "HTTP requests to nodes.", "chain", "endpoint", "method", "outcome"
        )
        self._switches = make.counter("endpoint_switches", "Changes to another endpoint of a chain.", "chain")
        self._hedges = make.counter("endpoint_hedges", "Questions that a second endpoint was asked, too.", "chain")
        self._others = make.counter(
            "endpoint_other_blocks", "Reads answered for another block than asked.", "chain", "endpoint"
        )
        self._health = make.gauge("endpoint_health", "1 well, 0.5 set aside, 0 lost.", "chain", "endpoint")
        self._set_aside = make.counter("endpoint_quarantines", "Times set aside.", "chain", "endpoint")
        self._pace = make.gauge("endpoint_calls_per_second", "Calls that we allow ourselves.", "chain", "endpoint")
        self._reconnects = make.counter("websocket_reconnects", "Node websockets opened again.", "chain")
        self._restarts = make.counter("actor_restarts", "Actors started again after they failed.", "actor")
        self._inbox = make.gauge("inbox_depth", "Messages that wait for an actor.", "actor")
        self._subscribers = make.gauge("subscribers", "Websocket subscribers that are connected.")
        self._tasks = make.gauge("tasks", "Tasks on the event loop.")
        self._conflations = make.counter("conflations", "Times that a slow subscriber was conflated.")
        self._conflated = make.counter("conflated_events", "Events that slow subscribers did not get one by one.")
        self._dropped = make.counter("subscribers_dropped", "Subscribers that were closed by us.", "reason")
        self._store = make.histogram("store_seconds", "Calls to the store.", "operation", "outcome")
        self.bus = BusMetrics(self._registry)
        self._http = make.histogram("http_request_seconds", "Answers of the API.", "method", "route", "status")

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

    def forget_inbox(self, actor: str) -> None:
        """What it was about is not followed any more: nothing waits for it. How often it was restarted stays."""
        self._inbox.remove_by_labels({"actor": actor})

    def forget_actor(self, actor: str) -> None:
        """The same, and its name may never come again."""
        self.forget_inbox(actor)
        self._restarts.remove_by_labels({"actor": actor})

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
