"""`python -m tests.bench [--quick] [GROUP ...]`: the benchmarks, as one table; exit 1 when a target is missed."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import platform
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import uvloop

from tests.bench.rows import Row, print_rows

_LOAD: Final = os.getloadavg()[0]

GROUPS: Final = (
    "latency",
    "trips",
    "burst",
    "adding",
    "store",
    "process",
    "backfill",
    "gap",
    "reorg",
    "failover",
    "hub",
    "nats",
    "accounts",
)
LONG: Final = ("soak",)
"""Run when they are named."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"some of {', '.join(GROUPS)}; all without; soak only by its name"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: figures are rougher")
    args = parser.parse_args()
    unknown = sorted(set(args.groups) - {*GROUPS, *LONG})
    if unknown:
        parser.error(f"there is no group {unknown[0]!r}; there are {', '.join((*GROUPS, *LONG))}")
    rows: list[Row] = []
    for group in args.groups or GROUPS:
        started = time.monotonic()
        print(f"{group} ...", end=" ", file=sys.stderr, flush=True)  # noqa: T201 - a long step shows where it is
        try:
            rows += uvloop.run(_run(group, quick=args.quick))
        except asyncio.CancelledError:
            return 128 + signal.SIGTERM
        print(f"{time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)  # noqa: T201 - the same
    print(f"\n{_machine()}\n")  # noqa: T201 - the table is for people
    return 0 if print_rows(rows) else 1


def _machine() -> str:
    """What figures depend on; with a load above the number of cores before we began, they are worth little."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "motor", "pymongo", "uvloop"))
    cores = f"{os.cpu_count()} cores, load {_LOAD:.1f} before"
    return f"{datetime.now(UTC):%Y-%m-%d}, {cores}, Python {platform.python_version()}, {packages}"


async def _run(group: str, *, quick: bool) -> list[Row]:
    task = asyncio.current_task()
    assert task is not None
    # Whoever ends us ends the servers that we started as well, and their folders go.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    run: Callable[..., Awaitable[list[Row]]] = importlib.import_module(f"tests.bench.bench_{group}").run
    return await run() if group == "hub" else await run(quick=quick)


if __name__ == "__main__":
    sys.exit(main())
