"""Runs the service as a process: signals in, exit code out."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import structlog

from indexer.app.files import raise_limit
from indexer.app.garbage import give_back_memory, spare_what_stays
from indexer.app.library import Indexer
from indexer.app.service import Service
from indexer.app.thread import SyncIndexer
from indexer.config import Settings
from indexer.errors import Permanent, Transient

__all__ = ["Indexer", "Service", "SyncIndexer", "run"]

log = structlog.get_logger(__name__)


async def run(settings: Settings, *, started: Callable[[Service], None] = lambda _service: None) -> int:
    """Serve until SIGTERM, Ctrl-C, or until a part cannot be kept alive; the exit code."""
    give_back_memory()
    raise_limit()
    loop = asyncio.get_running_loop()
    service = Service(settings)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.finish)
    loop.add_signal_handler(signal.SIGHUP, service.hang_up)
    try:
        async with service:
            started(service)
            settling = loop.create_task(_settle(service), name="settle")
            code = await service.finished()
            settling.cancel()
            log.info("stopping", exit_code=code)
    except (Permanent, Transient) as error:
        log.critical("cannot_run", reason=str(error))
        return 1
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)  # which the loop has forgotten: what is left to do is not to be cut off
    log.info("stopped", exit_code=code)
    return code


async def _settle(service: Service) -> None:
    spare_what_stays()
    await service.ready()
    spare_what_stays()
