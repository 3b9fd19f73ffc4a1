"""What the accounts of exchanges count."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from indexer.metrics.families import Families


class ExchangeMetrics:
    """What the accounts of one exchange count; made by `Metrics.exchange`."""

    def __init__(self, families: ExchangeFamilies, exchange: str) -> None:
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


class ExchangeFamilies:
    """The metrics that carry the label `exchange`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry, "exchange")
        self.arrivals = make.counter("account_arrivals", "What accounts' streams said, by kind.", "kind")
        self.reads = make.counter("account_reads", "Wallets read over REST, by outcome.", "outcome")
        self.drift = make.counter("account_drift", "Changes that a read found and the stream did not tell.")
        self.refused = make.counter("account_refused_amounts", "Amounts that broke a rule and were kept out.", "rule")
        self.records = make.counter("account_records", "Records of accounts committed.")
        self.events = make.counter("account_events", "Events of accounts committed.")
        self.breakers = make.gauge("account_breakers", "Accounts whose circuit breaker is in this state.", "state")
