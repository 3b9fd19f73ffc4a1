"""Exchange accounts, followed by the whole service and a real mongod; the venue is a process of its own."""

from __future__ import annotations

from tests.bench.accounts import following, lag, latency, torrent
from tests.bench.rows import Row


async def run(*, quick: bool) -> list[Row]:
    parts = (following.run, lag.run, latency.run, torrent.run)
    return [row for part in parts for row in await part(quick=quick)]
