"""A service that follows accounts of the demo venue: its file, its CPU, and what a client of it hears."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from indexer.demo.venue import Account
from tests.bench.accounts.venue import EXCHANGE

IMPORTS: Final = (
    "import indexer.cli, indexer.cli.service, indexer.app, indexer.clients.exchange.account, "
    "indexer.clients.exchange.dialects.table as t, uvloop; t.every_dialect()"
)
"""What a start with accounts imports before it asks anything; ccxt describes itself while it is imported."""

_TICKS: Final = os.sysconf("SC_CLK_TCK")


def configuration(url: str, accounts: Sequence[Account], *, store: str, data_dir: Path, futures: int = 0) -> str:
    """Each account follows its spot wallet; the first few its futures, too, which need the lists of markets."""
    parts = [
        f'[service]\nport = 0\ndata_dir = "{data_dir}"\nlog_format = "json"\n',
        f'[store]\nurl = "{store}"\ndatabase = "bench"\n',
    ]
    for number, account in enumerate(accounts):
        wallets = '"spot", "futures"' if number < futures else '"spot"'
        parts.append(
            f'[exchanges.{account.name}]\nexchange = "{EXCHANGE}"\napi_key = "{account.api_key}"\n'
            f'secret = "{account.secret}"\nwallets = [{wallets}]\nbase_url = "{url}"\n'
        )
    return "\n".join(parts)


def cpu_seconds(pid: int) -> float:
    """What the process has used by now, in user and in system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def importing(times: int = 3) -> float:
    """Seconds of a process that only imports what the service does."""
    return statistics.median([await _importing() for _ in range(times)])


async def _importing() -> float:
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", IMPORTS)
    await process.wait()
    return time.perf_counter() - started
