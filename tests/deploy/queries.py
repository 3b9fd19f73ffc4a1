"""Reads of a query to Prometheus which metrics and labels it asks for, and knows those that the service has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from prometheus_client import Histogram

from indexer.metrics import Metrics


def labels_of_metrics() -> dict[str, set[str]]:
    """Every name that a query may use, with the labels that it carries."""
    registry = Metrics()._registry
    known: dict[str, set[str]] = {family.name: set() for family in registry.collect()}  # those of the process, too
    for name, collector in registry._names_to_collectors.items():
        own = set(getattr(collector, "_labelnames", ()))
        known[name] = own | ({"le"} if isinstance(collector, Histogram) and name.endswith("_bucket") else set())
    return known


def metrics_in(query: str) -> list[str]:
    return re.findall(r"\bindexer_\w+", query)


def labels_in(query: str) -> Iterator[str]:
    """Those that are matched, and summed by."""
    for matchers in re.findall(r"\{([^}]*)\}", query):
        yield from re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)
    for names in re.findall(r"\b(?:by|without|on)\s*\(([^)]*)\)", query):
        yield from re.findall(r"\w+", names)
