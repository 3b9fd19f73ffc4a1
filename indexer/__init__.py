"""Knows, exactly and at once, what every solver wallet and exchange account holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexer.app import Indexer, SyncIndexer
    from indexer.config import Settings, load

__all__ = ["Indexer", "Settings", "SyncIndexer", "load"]

_HOMES = {
    "Indexer": "indexer.app",
    "SyncIndexer": "indexer.app",
    "Settings": "indexer.config",
    "load": "indexer.config",
}


def __getattr__(name: str) -> Any:
    """Import what embeds the service only when it is asked for: `indexer --help` must not pay for it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only for those who ask

    return getattr(import_module(_HOMES[name]), name)
