"""`backfill`: orders history to be filled, and shows how far the service got."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from indexer.cli.client import PAGE, AskError, Client, answered, connected
from indexer.cli.tables import plain, show_json

LOOK_SECONDS = 0.3


def backfill(args: argparse.Namespace) -> int:
    async def ask() -> int:
        wanted = {
            "chain": args.chain,
            "token": args.token,
            "solver": args.solver,
            "fromBlock": args.from_block,
            "toBlock": args.to_block,
        }
        async with connected(args) as client:
            order = {key: value for key, value in wanted.items() if value is not None}
            made = await client.post("/backfill", order, PAGE)
            ids = [job["id"] for job in made["items"]]
            jobs = made["items"] if args.detach else await _watched(client, ids, shown=not args.json)
        if args.json:
            show_json({"items": jobs})
        else:
            _show(jobs)
        return 1 if any(job["state"] == "failed" for job in jobs) else 0

    return answered(ask())


async def _watched(client: Client, ids: list[str], *, shown: bool) -> list[dict[str, Any]]:
    """The jobs, once all of them are through; a bar for each meanwhile."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not shown or not sys.stdout.isatty()) as progress:
        bars: dict[str, Any] = {}
        while True:
            jobs = [job async for job in client.items("/backfill") if job["id"] in ids]
            if gone := sorted(set(ids) - {job["id"] for job in jobs}):
                raise AskError(f"{', '.join(gone)}: not known any more; its chain is not followed, or it is long over")
            for job in jobs:
                words = f"chain {job['chainId']}: {job['state']}, {job['records']:,} records"
                if job["id"] not in bars:
                    bars[job["id"]] = progress.add_task(words, total=1.0)
                progress.update(bars[job["id"]], completed=job["progress"], description=words)
            if all(job["state"] in ("settling", "done", "failed") for job in jobs):
                return jobs
            await asyncio.sleep(LOOK_SECONDS)


def _show(jobs: list[dict[str, Any]]) -> None:
    for job in jobs:
        error = f": {plain(job['lastError'])}" if job["lastError"] else ""
        print(
            f"chain {job['chainId']} from block {job['fromBlock']}: {job['state']}, {job['records']} records of"
            f" {job['balances']} balances, {job['derived']} of them derived from transfers{error}"
        )
        alike: dict[tuple[str, str], list[str]] = {}
        for each in job["unproven"]:
            alike.setdefault((each["tokenAddress"], each["reason"]), []).append(each["solverAddress"])
        for (token, reason), solvers in alike.items():
            whose = solvers[0] if len(solvers) == 1 else f"{len(solvers)} wallets"
            print(f"  {token} of {whose}: {plain(reason)}")
