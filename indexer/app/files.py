"""How many files this process may have open, and how many clients that is room for."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from indexer.api.hub.limits import Limits
from indexer.config import Settings

log = structlog.get_logger(__name__)

_OURS: Final = 160
"""The store's driver (up to 100), NATS, the event loop, data and log; and clients that come while others are cut."""
_WEBSOCKETS: Final = Limits().connections
_ENDPOINT: Final = 17
"""What one is asked over at once, and what it is listened to over."""
_ACCOUNT: Final = 4
_REQUESTS: Final = 1_000
"""Connections besides those of websockets."""
_FEWEST: Final = 16


@dataclass(frozen=True, slots=True)
class Room:
    """For clients: how many websockets, and how many connections with them."""

    websockets: int = _WEBSOCKETS
    connections: int = _WEBSOCKETS + _REQUESTS


def raise_limit() -> None:
    """The usual soft limit, 1,024, is for programs that use `select`; we may have what the hard one allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # the plan: what we have is counted on
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def open_files() -> int:
    """How many there may be."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def room_for_clients(settings: Settings, files: int) -> Room:
    """What is left when we have what we need; a quarter of it is for requests that are no websockets."""
    endpoints = sum(len(chain.rpc_urls) + len(chain.ws_urls) for chain in settings.chains.values())
    ours = _OURS + _ENDPOINT * endpoints + _ACCOUNT * len(settings.exchanges)
    left = max(files - ours, _FEWEST)
    websockets = min(_WEBSOCKETS, left * 3 // 4)
    if websockets < _WEBSOCKETS:
        log.warning("few_files", files=files, websockets=websockets)
    return Room(websockets, min(left, websockets + _REQUESTS))
