"""A thousand frames a second for one account: each is in history, none is lost, and what waits stays bounded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from motor.motor_asyncio import AsyncIOMotorClient

from actors.accounts.account import MOST_QUEUED
from tests.bench.accounts.stage import configuration, cpu_seconds
from tests.bench.accounts.venue import ASSET, FIRST, VenueProcess, venue_process
from tests.bench.rows import Row
from tests.bench.stage import Running, running_mongod, running_service, until

RATE: Final = 1000
SECONDS: Final = float(os.environ.get("TORRENT_SECONDS", "20"))
"""60 for the whole figure."""

_OPENED: Final = re.compile(r'^indexer_account_arrivals_total\{.*kind="StreamOpened".*\} (\S+)$', re.MULTILINE)
_WAITING: Final = re.compile(r'^indexer_inbox_depth\{actor="account [^}]*\} (\S+)$', re.MULTILINE)


async def run(*, quick: bool) -> list[Row]:
    seconds = SECONDS / (4 if quick else 1)
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        venue = await stack.enter_async_context(venue_process(1))
        mongo = await stack.enter_async_context(running_mongod())
        text = configuration(venue.url, venue.accounts, store=mongo, data_dir=folder / "data")
        service = await stack.enter_async_context(running_service(text, folder))
        await asyncio.sleep(2)
        return await _poured(venue, service, mongo, seconds)


async def _poured(venue: VenueProcess, service: Running, mongo: str, seconds: float) -> list[Row]:
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongo)
    records = client["bench"]["account_records"]
    depths: list[float] = []
    watching = asyncio.create_task(_watch(service, depths))
    used, began = cpu_seconds(service.pid), time.monotonic()
    frames = await venue.torrent(0, RATE, seconds)
    took = time.monotonic() - began
    share = (cpu_seconds(service.pid) - used) / took * 100

    async def kept() -> bool:
        return await records.count_documents({"asset": ASSET}) > frames

    await until(kept)
    behind = time.monotonic() - began - took
    watching.cancel()
    missing = await _missing(records, frames)
    reopened = _numbers(_OPENED, await _metrics(service))[0] - 1
    client.close()
    what = f"accounts: {frames / took:,.0f} frames/s for {took:.0f} s"
    return [
        _bounded(f"{what}, missing in history", missing, 0, ""),
        _bounded("the same, streams begun anew", reopened, 0, ""),
        _bounded("the same, behind at its end", behind, 1, "s"),
        _bounded("the same, most messages that waited", max(depths), MOST_QUEUED / 10, ""),
        _bounded("the same, CPU of a core", share, 100, "%"),
    ]


async def _missing(records: Any, frames: int) -> int:
    """Every frame said one more of the asset: totals that no record has."""
    kept = {int(float(row["total"])) async for row in records.find({"asset": ASSET}, {"total": 1})}
    return len(set(range(FIRST, FIRST + frames + 1)) - kept)


async def _watch(service: Running, depths: list[float]) -> None:
    while True:
        depths += _numbers(_WAITING, await _metrics(service))
        await asyncio.sleep(0.25)


async def _metrics(service: Running) -> str:
    async with service.http.get(f"{service.url}/metrics") as answer:
        return await answer.text()


def _numbers(pattern: re.Pattern[str], text: str) -> list[float]:
    return [float(found) for found in pattern.findall(text)]


def _bounded(name: str, value: float, most: float, unit: str) -> Row:
    return Row(name, value, float("nan"), value, most, unit, at_most=True)
