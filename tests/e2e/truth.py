"""What the chain itself says: the oracle that every stored and told number is held against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import aiohttp
import orjson

from indexer.demo.anvil import Anvil
from tests.e2e.service import Running

Json = dict[str, Any]
Holding = tuple[str, str]

_BATCH = 500


async def balances(anvil: Anvil, wanted: Sequence[tuple[str, str, Any]]) -> list[int]:
    """The chain's answer for each (token, wallet, block); a block is a number, or a hash."""
    calls = [_call(token, wallet, block) for token, wallet, block in wanted]
    found: list[int] = []
    async with aiohttp.ClientSession() as http:
        for start in range(0, len(calls), _BATCH):
            batch = [
                {"jsonrpc": "2.0", "id": index, **call} for index, call in enumerate(calls[start : start + _BATCH])
            ]
            headers = {"content-type": "application/json"}
            async with http.post(anvil.http_url, data=orjson.dumps(batch), headers=headers) as response:
                answers = sorted(orjson.loads(await response.read()), key=lambda answer: int(answer["id"]))
            for call, answer in zip(batch, answers, strict=True):
                assert "result" in answer, (call, answer)
                found.append(int(answer["result"], 16))
    return found


async def balance(anvil: Anvil, token: str, wallet: str, block: Any = "latest") -> int:
    return (await balances(anvil, [(token, wallet, block)]))[0]


def _call(token: str, wallet: str, block: Any) -> Json:
    at = hex(block) if isinstance(block, int) else {"blockHash": block} if str(block).startswith("0x") else block
    if token == "native":
        return {"method": "eth_getBalance", "params": [wallet, at]}
    data = "0x70a08231" + wallet[2:].lower().rjust(64, "0")
    return {"method": "eth_call", "params": [{"to": token, "data": data}, at]}


async def check_history(
    service: Running, anvil: Anvil, holdings: Iterable[Holding], *, whole: bool = True, above: int = 0
) -> dict[Holding, list[Json]]:
    """Every record is what the chain says at that very block, and each block that changed a balance has one.

    Not `whole`: it was not watched all the time, so that blocks may lack. What was looked at before need not be asked
    of the chain again: only blocks `above` are.
    """
    newest = await service.followed(anvil)
    histories = {each: (await service.history(anvil.chain_id, *each))[::-1] for each in holdings}
    due = {each: [row for row in rows if row["blockNumber"] > above] for each, rows in histories.items()}
    canonical = {
        number: (await anvil.block(number))["hash"]
        for number in sorted({row["blockNumber"] for rows in due.values() for row in rows})
    }
    for holding, rows in due.items():
        assert histories[holding], f"no record of {holding}"
        truth = await balances(anvil, [(*holding, row["blockHash"]) for row in rows])
        wrong = [(row, value) for row, value in zip(rows, truth, strict=True) if int(row["balance"]) != value]
        assert not wrong, (holding, wrong)
        assert [row["blockHash"] for row in rows] == [canonical[row["blockNumber"]] for row in rows], holding
        current = await service.balance(anvil.chain_id, *holding)
        assert int(current["balance"]) == await balance(anvil, *holding, newest), holding
        assert current["verifiedBlock"] >= newest
        if whole:
            await _check_changes(anvil, holding, histories[holding], newest, above)
    return histories


async def _check_changes(anvil: Anvil, holding: Holding, rows: Sequence[Json], newest: int, above: int) -> None:
    start = max((at for at, row in enumerate(rows) if row["blockNumber"] <= above), default=0)
    rows = rows[start:]
    first = rows[0]["blockNumber"]
    numbers = range(first, newest + 1)
    values = dict(zip(numbers, await balances(anvil, [(*holding, number) for number in numbers]), strict=True))
    changed = [number for number in numbers[1:] if values[number] != values[number - 1]]
    # Where history was filled below it, the first read stays although it changed nothing, as that of who came back.
    told = [
        row["blockNumber"]
        for row in rows
        if row is rows[0] or row["cause"] not in ("first", "sync") or row["changeAmount"] != "0"
    ]
    assert told == [first, *changed], (anvil.chain_id, holding, sorted({first, *changed} ^ set(told)))
    before: int | None = None
    for row in rows:
        change = row["changeAmount"]
        assert change is None or before is None or int(change) == int(row["balance"]) - before, (holding, row)
        before = int(row["balance"])


def check_dense(events: Sequence[Json]) -> None:
    """Numbered from 1 without a hole, each id once, one epoch."""
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["id"] for event in events}) == len(events)
    assert len({event["id"].split(":")[0] for event in events}) <= 1


def replayed(events: Iterable[Json], start: Iterable[Json] = ()) -> dict[tuple[int, str, str], str]:
    """The balances of somebody who believes all of these events, on top of a snapshot's items."""
    held = {_key(item): item["balance"] for item in start}
    for event in events:
        if event["type"] in ("balance.updated", "balance.reverted"):
            held[_key(event["data"])] = event["data"]["newBalance"]
    return held


def _key(data: Json) -> tuple[int, str, str]:
    return data["chainId"], data["tokenAddress"], data["solverAddress"]


def check_linked(events: Iterable[Json]) -> None:
    """Each event of a balance begins where the one before it ended, and says by how much it moved."""
    held: dict[tuple[int, str, str], str] = {}
    for event in events:
        if event["type"] not in ("balance.updated", "balance.reverted"):
            continue
        data = event["data"]
        before, after = data["previousBalance"], data["newBalance"]
        assert before == held.get(_key(data)), event
        assert data["changeAmount"] == (None if before is None else str(int(after) - int(before))), event
        assert before != after or event["type"] == "balance.reverted" or data["cause"] == "sync", event
        held[_key(data)] = after
