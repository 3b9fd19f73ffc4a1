"""`audit`: has a running service read random records again; exit 1 when any differs, or a chain does not answer."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from typing import Any, Final

from indexer.cli.client import AskError, Client, answered, connected
from indexer.cli.tables import note, plain, show_json, show_table
from indexer.masking import mask_url

LOOK_SECONDS: Final = 2.0
"""An answer that takes so long is asked after; and a node that is silent for so long is named."""


_AUDITED: Final = {"checked": int, "differing": list, "unreadable": int, "skipped": int}
_WAITING: Final = {"running": bool, "waiting": list}


def audit(args: argparse.Namespace) -> int:
    async def ask() -> int:
        async with connected(args) as client:
            answer = await _answer(client, args.count)
        if args.json:
            show_json(answer)
        else:
            _show(answer)
        for lost in answer.get("unanswered", ()):
            note(f"{_chain(lost)}: {lost['records']} records were not read: {plain(lost['reason'])}")
        # Where nothing could be read, nothing is known to be right.
        nothing = answer["unreadable"] and not answer["checked"]
        return 1 if answer["differing"] or answer.get("unanswered") or nothing else 0

    return answered(ask())


async def _answer(client: Client, count: int) -> Any:
    """While it takes long, stderr says what for: each chain once."""
    said = set[str]()
    answer = asyncio.ensure_future(client.post("/audit", {"count": count}, _AUDITED))
    try:
        while not (await asyncio.wait((answer,), timeout=LOOK_SECONDS))[0]:
            for who, words in await _waits(client):
                if who not in said:
                    note(f"waiting for {words}")
                said.add(who)
        return await answer
    finally:
        answer.cancel()


async def _waits(client: Client) -> list[tuple[str, str]]:
    """Whom the service waits for, and in words; a service that does not know is an older one."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            found = await client.get("/audit", _WAITING)
    except TimeoutError:
        return [(client.url, f"{mask_url(client.url)}: it does not answer")]
    except AskError:
        return []
    return list(_silent(found))


def _silent(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for one in found["waiting"]:
        if one["seconds"] >= LOOK_SECONDS:
            why = f"no answer for {one['seconds']:.0f} s, {one['records']} records are left"
            yield str(one["chainId"]), f"{_chain(one)}: {why}"
    if found["running"] and not found["waiting"]:
        yield "store", "the service's store"


def _chain(one: dict[str, Any]) -> str:
    return f"chain {one['chainId']} ({plain(one['name'])}) at {plain(one['endpoint'])}"


def _show(answer: dict[str, Any]) -> None:
    differing = answer["differing"]
    verb = "differs" if len(differing) == 1 else "differ"
    print(f"{answer['checked']} records read again at their blocks: {len(differing)} {verb}")
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
