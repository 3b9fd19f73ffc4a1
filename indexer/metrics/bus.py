"""What publishing on NATS counts."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from indexer.metrics.families import Families


class BusMetrics:
    """What publishing on NATS counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry)
        self._published = make.counter("nats_events_published", "Events that are stored on NATS.")
        self._skipped = make.counter("nats_events_skipped", "Events that NATS will never get.")
        self._failures = make.counter("nats_failures", "Connections that failed or ended.", "outcome")
        self._reconnects = make.counter("nats_reconnects", "Times that publishing went on after a failure.")
        self._lag = make.gauge("nats_lag_events", "Events that were told and are not stored on NATS.")
        self._connected = make.gauge("nats_connected", "1 while NATS takes what is published.")
        self._seconds = make.histogram("nats_publish_seconds", "From sending events to knowing that they are stored.")

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
