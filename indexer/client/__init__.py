"""A small client of a running service: asks over HTTP, follows over the websocket, and resumes by itself."""

from indexer.client.client import IndexerClient
from indexer.client.following import Conflated, Event, Filter, Gap, Message, Snapshot
from indexer.client.problems import Forbidden, NoIndexer, Problem, ServiceUnreachable, Unauthorized

__all__ = [
    "Conflated",
    "Event",
    "Filter",
    "Forbidden",
    "Gap",
    "IndexerClient",
    "Message",
    "NoIndexer",
    "Problem",
    "ServiceUnreachable",
    "Snapshot",
    "Unauthorized",
]
