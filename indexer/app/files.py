"""How many files this process may have open, and how many clients that is room for."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from indexer.api.hub.limits import Limits
from indexer.config import ChainSettings

log = structlog.get_logger(__name__)

_WEBSOCKETS: Final = Limits().connections
_REQUESTS: Final = 1_000
"""Connections besides those of websockets."""

_OURS: Final = 160
"""The store's driver (up to 100), NATS, the event loop, data and log; and clients that come while others are cut."""
_ENDPOINT: Final = 17
"""What one is asked over at once, and what it is listened to over."""
_ACCOUNT: Final = 4


@dataclass(frozen=True, slots=True)
class Clients:
    """How many there may be: of websockets, and of connections with them."""

    websockets: int
    connections: int


class Room:
    """What `files` leave for clients beside what we may need ourselves, by what is followed just now."""

    def __init__(
        self,
        files: int,
        *,
        chains: Callable[[], Mapping[str, ChainSettings]],
        accounts: Callable[[], Sequence[object]],
    ) -> None:
        self._files = files
        self._chains = chains
        self._accounts = accounts
        self._told = _WEBSOCKETS

    def now(self) -> Clients:
        """A quarter is for requests that are no websockets. Where there is less room than before, it is said.

        All that we may need at once we seldom do: with few files and much to follow clients have half of them.
        """
        endpoints = sum(len(chain.rpc_urls) + len(chain.ws_urls) for chain in self._chains().values())
        ours = _OURS + _ENDPOINT * endpoints + _ACCOUNT * len(self._accounts())
        left = max(self._files - ours, self._files // 2)
        websockets = min(_WEBSOCKETS, left * 3 // 4)
        if websockets < self._told:
            log.warning("few_files", files=self._files, websockets=websockets)
        self._told = websockets
        return Clients(websockets, min(left, websockets + _REQUESTS))


def raise_limit() -> None:
    """The usual soft limit, 1,024, is for programs that use `select`; we may have what the hard one allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # the plan: what we have is counted on
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def open_files() -> int:
    """How many there may be."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
