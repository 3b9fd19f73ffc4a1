"""Makes families of metrics in one registry, named as all of ours are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_NAMESPACE: Final = "indexer"


class Families:
    """Each carries the labels of `common`, and then its own."""

    def __init__(self, registry: CollectorRegistry, *common: str) -> None:
        self._registry = registry
        self._common = common

    def counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, (*self._common, *labels), namespace=_NAMESPACE, registry=self._registry)

    def gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(name, about, (*self._common, *labels), namespace=_NAMESPACE, registry=self._registry)

    def histogram(self, name: str, about: str, *labels: str, buckets: Sequence[float] = _SECONDS) -> Histogram:
        """Of seconds, where nothing else is said."""
        names = (*self._common, *labels)
        return Histogram(name, about, names, namespace=_NAMESPACE, registry=self._registry, buckets=buckets)
