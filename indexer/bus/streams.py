"""The JetStream streams that take our subjects: made where there is none, used as they are where there are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from indexer.domain.telling.subjects import ROOTS, covers
from indexer.errors import BusRefuses, BusUnreachable

log = structlog.get_logger(__name__)

DUPLICATE_SECONDS: Final = 600.0
"""How long the server knows ids. It keeps them in memory, about 150 bytes each: 10 minutes outlast any restart."""

_QUESTION: Final = "$JS.API.STREAM.INFO.any"
_OVERLAPS: Final = 10065
_NOT_ENABLED: Final = frozenset({10039, 10076})
_PASSING: Final = frozenset({10008, 10009, 10058})
"""The cluster has no leader just now; somebody else made the stream at this moment."""


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """How a stream is made where there is none; 0 means no bound of its own."""

    name: str
    days: int
    megabytes: int
    replicas: int


async def find_homes(js: JetStreamContext, plan: StreamPlan) -> Mapping[str, str]:
    """Which stream takes each of our roots; makes the planned one where nothing is there yet."""
    try:
        return await _find_homes(js, plan)
    except (NoRespondersError, ServiceUnavailableError) as error:
        if isinstance(error, APIError) and error.err_code in _NOT_ENABLED:
            raise _disabled() from error
        raise BusUnreachable("JetStream does not answer; is it enabled there (nats-server -js)?") from error
    except APIError as error:
        if error.err_code in _NOT_ENABLED:
            raise _disabled() from error
        if error.err_code in _PASSING:
            raise BusUnreachable(f"JetStream cannot do it just now: {error.description}") from error
        raise BusRefuses(f"JetStream refuses the stream {plan.name!r}: {error.description}") from error
    except (NatsError, TimeoutError, OSError) as error:
        raise BusUnreachable(f"JetStream does not answer: {error!r}") from error


async def _find_homes(js: JetStreamContext, plan: StreamPlan) -> Mapping[str, str]:
    try:
        config = (await js.stream_info(plan.name)).config
    except NotFoundError:
        try:
            await js.add_stream(_config(plan))
        except APIError as error:
            if error.err_code != _OVERLAPS:
                raise
            return await _elsewhere(js, ROOTS, plan)
        log.info("nats_stream_made", stream=plan.name)
        return dict.fromkeys(ROOTS, plan.name)
    # Such a stream acknowledges our questions, and that may come before JetStream's own answer.
    if config is None or any(covers(subject, _QUESTION) for subject in config.subjects or ()):
        raise BusRefuses("a stream there takes JetStream's own subjects ($JS.API.>), so that nothing can be asked")
    homes = {root: plan.name for root in ROOTS if _takes(config, root)}
    return homes | await _elsewhere(js, [root for root in ROOTS if root not in homes], plan)


async def _elsewhere(js: JetStreamContext, roots: Iterable[str], plan: StreamPlan) -> dict[str, str]:
    """Streams under other names that take these; all of them have to be taken."""
    homes: dict[str, str] = {}
    for root in roots:
        found = [config.name async for config in _touching(js, root) if _takes(config, root)]
        if not found:
            there = [config async for config in _touching(js, root)]
            silent = next((config for config in there if _covers(config, root)), None)
            if silent is not None:
                raise BusRefuses(
                    f"the stream {silent.name!r} takes {root}.>, but acknowledges nothing (no_ack), so that nobody "
                    f"knows what it stored: have it acknowledge, or take these subjects away from it"
                )
            others = ", ".join([repr(config.name) for config in there])
            raise BusRefuses(
                f"no stream takes {root}.> as a whole ({others or repr(plan.name)} there does not): add it to its "
                f"subjects, or take these away from it, so that {plan.name!r} can be made"
            )
        homes[root] = found[0] or plan.name
    return homes


async def _touching(js: JetStreamContext, root: str) -> AsyncIterator[StreamConfig]:
    for info in await js.streams_info():
        if any(covers(f"{root}.>", subject) or covers(subject, f"{root}.>") for subject in info.config.subjects or ()):
            yield info.config


def _takes(config: StreamConfig, root: str) -> bool:
    """A stream that acknowledges nothing cannot be relied on."""
    return not config.no_ack and _covers(config, root)


def _covers(config: StreamConfig, root: str) -> bool:
    return any(covers(subject, f"{root}.>") for subject in config.subjects or ())


def _config(plan: StreamPlan) -> StreamConfig:
    return StreamConfig(
        name=plan.name,
        description="Every event of the solver balance indexer.",
        subjects=[f"{root}.>" for root in ROOTS],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=plan.days * 86_400.0,
        max_bytes=plan.megabytes * 1024 * 1024 or -1,
        num_replicas=plan.replicas,
        # No longer than what is kept: the server insists.
        duplicate_window=min(DUPLICATE_SECONDS, plan.days * 86_400.0 or DUPLICATE_SECONDS),
    )


def _disabled() -> BusRefuses:
    return BusRefuses("JetStream is not enabled, there or for this account: start the server with -js")
