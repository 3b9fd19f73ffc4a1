"""`run`, `check` and `demo`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TextIO

import structlog

from indexer import log
from indexer.config import Settings, Venues, load
from indexer.errors import ConfigError

logger = structlog.get_logger(__name__)


def run(args: argparse.Namespace) -> int:
    settings = _loaded(args.config, sys.stderr)
    if settings is None:
        return 2
    log.configure(settings.service.log_format, secrets=settings.secrets(), verbose=args.verbose)

    async def serve() -> int:
        from indexer.app import run  # noqa: PLC0415 - brings web3 and motor along, two seconds of importing

        return await run(settings)

    return on_a_loop(serve)


def check(args: argparse.Namespace) -> int:
    settings = _loaded(args.config, sys.stdout)
    if settings is None:
        return 2
    counts = ((settings.chains, "chain"), (settings.solvers, "solver"), (settings.exchanges, "exchange account"))
    told = ", ".join(f"{len(items)} {what}{'' if len(items) == 1 else 's'}" for items, what in counts)
    print(f"{args.config} is fine: {told}")
    return 0


def demo(args: argparse.Namespace) -> int:
    log.configure()

    async def play() -> int:
        from indexer.demo import run  # noqa: PLC0415 - the same

        return await run(args.host, args.port, args.data_dir)

    return on_a_loop(play)


def on_a_loop(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """On uvloop where there is one. An error that gets here is told in the log, where secrets are masked."""
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(main())
    except KeyboardInterrupt:
        return 0
    except Exception:  # the edge of the process: a bare traceback on stderr would not be masked
        logger.critical("crashed", exc_info=True)
        return 1


def show_problems(error: ConfigError, title: str, stream: TextIO) -> None:
    """Every mistake with its key and value, then what is wrong, then what to do."""
    count = len(error.problems)
    print(f"{title}: {count} problem{'' if count == 1 else 's'}", file=stream)
    for problem in error.problems:
        value = "" if problem.value is None else f" = {problem.value}"
        print(f"\n  {problem.key}{value}\n    {problem.message}\n    -> {problem.hint}", file=stream)


def _loaded(path: Path, stream: TextIO) -> Settings | None:
    try:
        return load(path, os.environ, _exchanges, _wrong_with_store)
    except ConfigError as error:
        show_problems(error, str(path), stream)
        return None


def _exchanges() -> Venues:
    from indexer.app.exchanges import Exchanges  # noqa: PLC0415 - it asks ccxt, which takes a second

    return Exchanges().known()


def _wrong_with_store(url: str) -> str | None:
    from repositories.urls import wrong_with  # noqa: PLC0415 - it asks the driver, which takes a moment to import

    return wrong_with(url)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop
