"""Applies a changed configuration file: only what differs is touched."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from indexer.config import ChainSettings, Settings

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""How often the file is looked at; `SIGHUP` and `POST /reload` do not wait for it."""


_TOLD = ("tokens", "start_block", "sync_interval_seconds")
"""What of a chain is told to the actors that run: they keep their connections and go on."""

WAITS_FOR_A_RESTART = ("service", "store")


def difference(old: Settings, new: Settings, started: Settings | None = None) -> dict[str, Any]:
    """What a reload applies, and what a running service cannot change: there it is as it was `started`."""
    by_id_old, by_id_new = _by_id(old), _by_id(new)
    return {
        "chains": {
            "added": sorted(by_id_new[i].name for i in by_id_new.keys() - by_id_old.keys()),
            "removed": sorted(by_id_old[i].name for i in by_id_old.keys() - by_id_new.keys()),
            "changed": sorted(
                by_id_new[i].name
                for i in by_id_new.keys() & by_id_old.keys()
                if _without_tokens(by_id_old[i]) != _without_tokens(by_id_new[i])
            ),
        },
        "tokens": _tokens(by_id_old, by_id_new),
        "solvers": _named(old.solvers, new.solvers),
        "apiKeys": _named(_keys(old), _keys(new)),
        "exchanges": _named(old.exchanges, new.exchanges),
        "nats": _nats(old, new),
        "restartNeeded": [part for part in WAITS_FOR_A_RESTART if _fixed(started or old, part) != _fixed(new, part)],
    }


def _nats(old: Settings, new: Settings) -> str:
    if old.nats == new.nats or not (old.nats.url or new.nats.url):
        return "unchanged"
    if not (old.nats.url and new.nats.url):
        return "started" if new.nats.url else "stopped"
    return "changed"


def _keys(settings: Settings) -> Mapping[str, Any]:
    return {key.name: key for key in settings.service.api_keys}


def _fixed(settings: Settings, part: str) -> Any:
    """A part without what can change while running: who may ask."""
    if part == "service":
        return replace(settings.service, api_keys=(), allow_anonymous=False)
    return getattr(settings, part)


def is_other_chain(old: ChainSettings, new: ChainSettings) -> bool:
    """Whether the chain's live actor must start anew."""
    return old != new and _fixed_while_it_lives(old) != _fixed_while_it_lives(new)


def _fixed_while_it_lives(chain: ChainSettings) -> tuple[Any, ...]:
    return tuple(getattr(chain, key) for key in ChainSettings.__slots__ if key not in _TOLD)


def _without_tokens(chain: ChainSettings) -> tuple[Any, ...]:
    return tuple(getattr(chain, key) for key in ChainSettings.__slots__ if key != "tokens")


def _by_id(settings: Settings) -> Mapping[int, ChainSettings]:
    return {chain.chain_id: chain for chain in settings.chains.values()}


def _tokens(old: Mapping[int, ChainSettings], new: Mapping[int, ChainSettings]) -> dict[str, list[dict[str, Any]]]:
    before = {(i, token) for i, chain in old.items() for token in chain.tokens}
    after = {(i, token) for i, chain in new.items() for token in chain.tokens}
    return {
        "added": [{"chainId": i, "address": token} for i, token in sorted(after - before)],
        "removed": [{"chainId": i, "address": token} for i, token in sorted(before - after)],
    }


def _named(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[str]]:
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in new.keys() & old.keys() if old[name] != new[name]),
    }


async def watch_file(path: Path, asked: asyncio.Event, reload: Callable[[], Awaitable[bool]]) -> None:
    """Reload each time the file was saved or somebody `asked`, until cancelled.

    And once at first: it may have been saved since the service read it. Where `reload` says that it could not be done
    yet, it is tried again at the next look.
    """
    seen: tuple[int, int, int] | None = None
    while True:
        stamp = _stamp(path)
        if asked.is_set() or (stamp is not None and stamp != seen):
            asked.clear()
            seen = stamp if await reload() else None
        # Not `wait_for`: before Python 3.12 it swallows a cancellation that comes with what is waited for.
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await asked.wait()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:  # an editor replaces the file: look again a second later
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
