"""`audit`: has a running service read random records again; exit 1 when any differs."""

from __future__ import annotations

import argparse
import json
from typing import Any

from indexer.cli.client import answered, connected
from indexer.cli.tables import show_table


def audit(args: argparse.Namespace) -> int:
    async def ask() -> int:
        async with connected(args) as client:
            answer = await client.post("/audit", {"count": args.count})
        if args.json:
            print(json.dumps(answer, ensure_ascii=False))
        else:
            _show(answer)
        # Where nothing could be read, nothing is known to be right.
        return 1 if answer["differing"] or (answer["unreadable"] and not answer["checked"]) else 0

    return answered(ask())


def _show(answer: dict[str, Any]) -> None:
    differing = answer["differing"]
    print(f"{answer['checked']} records read again at their blocks: {len(differing) or 'none'} differ")
    if answer["unreadable"]:
        print(f"{answer['unreadable']} could not be read: their blocks' state is pruned, or no endpoint has it now")
    if answer["skipped"]:
        print(f"{answer['skipped']} are derived from logs, and were never read")
    if differing:
        show_table(
            ("chain", "token", "solver", "block", "stored (raw)", "read (raw)"),
            [
                (
                    one["chainId"],
                    one["tokenAddress"],
                    one["solverAddress"],
                    one["blockNumber"],
                    one["stored"],
                    one["read"] if one["read"] is not None else "the block is orphaned",
                )
                for one in differing
            ],
            right=("block", "stored (raw)", "read (raw)"),
        )
