"""The path of a change, from a block to the store and to every subscriber, against the chain's own answers."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pymongo
import pytest
import pytest_asyncio
from bson import Decimal128, Int64
from pymongo.database import Database

from indexer.demo.contracts import Deployed, deploy
from repositories.left_over import left_over, port_of
from tests.e2e import truth
from tests.e2e.listening import Subscriber
from tests.e2e.service import Config, Running, running, until
from tests.e2e.world import ETHER, World, world
from tests.fixtures.chain import wallets

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo, pytest.mark.asyncio(loop_scope="module")]

LOCAL = wallets(1, 0x6000)[0]
"""Watched on one of the chains only."""

Documents = Database[dict[str, Any]]


@dataclass(frozen=True)
class Stage:
    """`pushed` is heard by websocket, `polled` has none; one service follows both, one subscriber hears all."""

    service: Running
    pushed: World
    polled: World
    old: Deployed
    bare: Deployed
    subscriber: Subscriber

    def tokens(self) -> tuple[str, ...]:
        return (self.pushed.token.address, self.old.address, self.bare.address)

    async def mine(self) -> int:
        await self.pushed.anvil.mine()
        return await self.service.followed(self.pushed.anvil)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        pushed = await stack.enter_async_context(world(1001))
        polled = await stack.enter_async_context(world(1002))
        old, bare = await deploy(pushed.anvil, "Bytes32Token"), await deploy(pushed.anvil, "BareToken")
        tables = {
            "pushed": pushed.table(pushed.token.address, old.address, bare.address),
            "polled": polled.table(ws=False, native_symbol="POL"),
        }
        solvers = {**pushed.solvers, "local": {"address": LOCAL, "chains": ["pushed"]}}
        config = Config(tmp_path_factory.mktemp("path"), tables, solvers)
        service = await stack.enter_async_context(running(config))
        subscriber = await stack.enter_async_context(service.subscribed())
        yield Stage(service, pushed, polled, old, bare, subscriber)


@pytest.fixture
def documents(stage: Stage) -> Iterator[Documents]:
    """The store's own documents, seen from outside."""
    pid = left_over(stage.service.config.data_dir / "mongo")
    assert pid is not None
    url = f"mongodb://127.0.0.1:{port_of(pid)}/?directConnection=true"
    with pymongo.MongoClient[dict[str, Any]](url, tz_aware=True) as client:
        yield client["indexer"]


async def test_every_watched_balance_is_there_from_its_first_read_zero_included(stage: Stage) -> None:
    items = (await stage.service.get("/balances", limit=1000))["items"]
    held = {(item["chainId"], item["tokenAddress"], item["solverAddress"]): item for item in items}
    expected = {(1001, *holding) for holding in stage.pushed.holdings(*stage.tokens())}
    expected |= {(1001, token, LOCAL) for token in ("native", *stage.tokens())}
    expected |= {(1002, *holding) for holding in stage.polled.holdings()}
    assert held.keys() == expected
    bare = held[1001, stage.bare.address, stage.pushed.cold]
    assert (bare["balance"], bare["amount"], bare["decimals"], bare["tokenSymbol"], bare["tokenName"]) == (
        "0",
        None,
        None,
        None,
        None,
    )


async def test_metadata_is_read_also_from_bytes32(stage: Stage) -> None:
    old = await stage.service.balance("pushed", stage.old.address.lower(), stage.pushed.cold.lower())
    assert (old["decimals"], old["tokenSymbol"], old["tokenName"]) == (18, "MKR", "Maker")
    plain = await stage.service.balance(1001, stage.pushed.token.address, stage.pushed.cold)
    assert (plain["decimals"], plain["tokenSymbol"], plain["tokenName"]) == (6, "DUSD", "Demo Dollar")
    assert plain["amount"] == "1000000"
    assert (await stage.service.balance("polled", "native", stage.polled.cold))["tokenSymbol"] == "POL"


async def test_one_transfer_in_is_told_and_stored_with_its_transaction(stage: Stage) -> None:
    here, token = stage.pushed, stage.pushed.token
    before = await token.balance(here.cold)
    transaction = await token.send("mint", here.cold, 7)
    number = await stage.mine()
    event = await stage.subscriber.heard(block=number, tokenAddress=token.address)
    block = await here.anvil.block(number)
    assert event["type"] == "balance.updated"
    assert event["stream"] == "chain:1001"
    assert event["data"] == {
        "chainId": 1001,
        "tokenAddress": token.address,
        "solverAddress": here.cold,
        "previousBalance": str(before),
        "newBalance": str(before + 7),
        "changeAmount": "7",
        "amount": _scaled(before + 7, 6),
        "decimals": 6,
        "tokenSymbol": "DUSD",
        "blockNumber": number,
        "blockHash": block["hash"],
        "transactionHash": transaction,
        "cause": "transfer",
        "finality": "latest",
    }
    row = (await stage.service.history(1001, token.address, here.cold))[0]
    assert row == {
        "chainId": 1001,
        "tokenAddress": token.address,
        "solverAddress": here.cold,
        "balance": str(before + 7),
        "amount": _scaled(before + 7, 6),
        "decimals": 6,
        "tokenSymbol": "DUSD",
        "tokenName": "Demo Dollar",
        "blockNumber": number,
        "blockHash": block["hash"],
        "timestamp": _time(int(block["timestamp"], 16)).isoformat().replace("+00:00", "Z"),
        "verifiedBlock": number,
        "transactionHash": transaction,
        "transactionHashes": [transaction],
        "changeAmount": "7",
        "cause": "transfer",
        "finality": "latest",
        "derived": False,
    }


async def test_many_transfers_in_one_block_are_one_record_with_all_their_transactions(stage: Stage) -> None:
    here, token = stage.pushed, stage.pushed.token
    out = await token.send("transfer", here.bolt, 1_000, sender=here.acme)
    back = await token.send("transfer", here.acme, 400, sender=here.bolt)
    batch = await token.send("transferMany", [here.bolt, here.cold, here.bolt], 50, sender=here.acme)
    number = await stage.mine()
    told = {
        wallet: (await stage.subscriber.heard(block=number, tokenAddress=token.address, solverAddress=wallet))["data"]
        for wallet in (here.acme, here.bolt, here.cold)
    }
    assert [int(told[wallet]["changeAmount"]) for wallet in told] == [-750, 700, 50]
    assert {each["transactionHash"] for each in told.values()} == {batch}
    rows = [(await stage.service.history(1001, token.address, wallet))[0] for wallet in told]
    assert [row["transactionHashes"] for row in rows] == [[out, back, batch], [out, back, batch], [batch]]
    events = [event for event in stage.subscriber.events if event["data"].get("blockNumber") == number]
    # Three of the token; and the native coin of both who paid gas.
    assert len(events) == 5


async def test_native_changes_are_seen_plain_from_inside_a_contract_and_as_gas(stage: Stage) -> None:
    here, anvil = stage.pushed, stage.pushed.anvil
    await anvil.send(here.cold, value=3 * ETHER)
    await here.payer.send("pay", here.bolt, 2 * ETHER, value=2 * ETHER)
    await anvil.send("0x" + "77" * 20, value=0, sender=here.acme)
    number = await stage.mine()
    told = {
        wallet: (await stage.subscriber.heard(block=number, tokenAddress="native", solverAddress=wallet))["data"]
        for wallet in (here.cold, here.bolt, here.acme)
    }
    assert told[here.cold]["changeAmount"] == str(3 * ETHER)
    assert told[here.bolt]["changeAmount"] == str(2 * ETHER)
    assert -ETHER < int(told[here.acme]["changeAmount"]) < 0
    assert {(each["cause"], each["transactionHash"]) for each in told.values()} == {("native", None)}


async def test_a_chain_without_websocket_is_followed_by_asking(stage: Stage) -> None:
    there = stage.polled
    await there.token.send("mint", there.acme, 5)
    await there.anvil.mine()
    number = await stage.service.followed(there.anvil)
    event = await stage.subscriber.heard(block=number, chainId=1002, tokenAddress=there.token.address)
    assert event["data"]["changeAmount"] == "5"
    assert (await stage.service.stream(1002))["heads"] == "poll"

    async def is_pushed() -> bool:
        """On a busy machine a websocket is doubted now and then, until it tells of a block."""
        await stage.pushed.anvil.mine()
        return bool((await stage.service.stream(1001))["heads"] == "ws")

    await until(is_pushed, every=0.3)


async def test_every_record_of_both_chains_is_what_the_chain_says_at_that_block(stage: Stage) -> None:
    rng = random.Random(7)  # noqa: S311 - a script, not a secret
    for _ in range(15):
        await stage.pushed.stir(rng)
        await stage.polled.stir(rng)
    await stage.old.send("mint", stage.pushed.acme, 10**40)
    await stage.bare.send("mint", stage.pushed.bolt, 2**256 - 1)
    await stage.mine()
    pushed = await truth.check_history(stage.service, stage.pushed.anvil, stage.pushed.holdings(*stage.tokens()))
    polled = await truth.check_history(stage.service, stage.polled.anvil, stage.polled.holdings())
    for rows in (*pushed.values(), *polled.values()):
        assert rows[0]["cause"] == "first"
        assert rows[0]["changeAmount"] is None
        assert {row["cause"] for row in rows[1:]} <= {"transfer", "native"}
    await _check_transactions(stage.pushed, pushed)


async def _check_transactions(here: World, histories: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    """The transactions of each record are those whose Transfer logs name token and wallet, in the block's order."""
    logs = await here.anvil.rpc("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})
    moved: dict[tuple[str, str, int], list[str]] = {}
    for log in logs:
        for topic in log["topics"][1:3]:
            key = log["address"].lower(), "0x" + topic[26:], int(log["blockNumber"], 16)
            if log["transactionHash"] not in moved.setdefault(key, []):
                moved[key].append(log["transactionHash"])
    for (token, wallet), rows in histories.items():
        for row in rows[1:]:
            expected = moved.get((token.lower(), wallet.lower(), row["blockNumber"]), [])
            assert row["transactionHashes"] == (expected if token != "native" else [])
            assert row["transactionHash"] == (row["transactionHashes"] or [None])[-1]


async def test_what_was_told_adds_up_to_what_is_held(stage: Stage) -> None:
    for here in (stage.pushed, stage.polled):
        events = await stage.service.events(here.stream)
        truth.check_dense(events)
        truth.check_linked(events)
        held = truth.replayed(events)
        items = (await stage.service.get("/balances", chain=here.anvil.chain_id, limit=1000))["items"]
        assert held == truth.replayed((), items)
        await stage.subscriber.caught_up(here.stream, events[-1]["seq"])
        live = [event for event in stage.subscriber.events if event["stream"] == here.stream]
        assert live == events[-len(live) :]


async def test_the_stored_records_have_the_contracts_fields_and_types(stage: Stage, documents: Documents) -> None:
    await stage.service.get("/balances")
    rows = list(documents["balance_records"].find())
    assert rows
    for row in rows:
        assert row.keys() - {"logs", "unexplained"} == {
            *("_id", "chainId", "tokenAddress", "solverAddress", "balance", "amount", "blockNumber", "blockHash"),
            *("timestamp", "transactionHash", "decimals", "tokenSymbol", "tokenName", "changeAmount", "cause"),
            *("finality", "derived", "transactionHashes", "seq"),
        }
        assert {type(row[key]) for key in ("chainId", "blockNumber", "seq")} == {Int64}
        assert {type(row[key]) for key in ("tokenAddress", "solverAddress", "balance", "blockHash")} == {str}
        assert isinstance(row["timestamp"], datetime)
        if row["amount"] is not None:
            assert isinstance(row["amount"], Decimal128)
            assert row["amount"].to_decimal().scaleb(row["decimals"]) == int(row["balance"])
    huge = documents["current_balances"].find_one({"balance": str(2**256 - 1)})
    assert huge is not None
    assert huge["amount"] is None
    ordered = sorted(rows, key=lambda row: row["blockNumber"])
    newest = {(row["chainId"], row["tokenAddress"], row["solverAddress"]): row["balance"] for row in ordered}
    current = documents["current_balances"].find()
    assert {(r["chainId"], r["tokenAddress"], r["solverAddress"]): r["balance"] for r in current} == newest


async def test_the_collections_have_the_contracts_indexes(documents: Documents) -> None:
    records = documents["balance_records"].index_information().values()
    key = [("chainId", 1), ("tokenAddress", 1), ("solverAddress", 1), ("blockNumber", 1)]
    assert [bool(index.get("unique")) for index in records if index["key"] == key] == [True]
    assert {tuple(index["key"]) for index in records} >= {(("timestamp", -1),), (("blockNumber", -1),)}
    commits = documents["commits"].index_information().values()
    assert [bool(i.get("unique")) for i in commits if i["key"] == [("stream", 1), ("firstSeq", 1)]] == [True]


async def test_commits_are_dense_and_each_holds_an_event(documents: Documents) -> None:
    for stream in ("chain:1001", "chain:1002"):
        following = 1
        for commit in documents["commits"].find({"stream": stream}).sort("firstSeq", 1):
            assert commit["firstSeq"] == following
            assert len(commit["facts"]) == commit["lastSeq"] - commit["firstSeq"] + 1 > 0
            following = commit["lastSeq"] + 1
        assert following > 1, stream


async def test_each_stream_has_a_checkpoint_that_is_written_now_and_then(stage: Stage, documents: Documents) -> None:
    async def are_there() -> bool:
        await stage.pushed.anvil.mine()
        await stage.polled.anvil.mine()
        return {each["_id"] for each in documents["checkpoints"].find()} == {"chain:1001", "chain:1002"}

    await until(are_there, every=0.5)


async def test_a_balance_is_answered_as_it_was_at_a_block_and_at_a_time(stage: Stage) -> None:
    here, token = stage.pushed, stage.pushed.token
    rows = await stage.service.history(1001, token.address, here.acme)
    for newer, row in pairwise(rows):
        number = newer["blockNumber"] - 1
        was = await stage.service.balance("pushed", token.address, here.acme, block=number)
        assert (was["balance"], was["verifiedBlock"]) == (row["balance"], number)
        assert int(was["balance"]) == await token.balance(here.acme, hex(number))
    at = await stage.service.balance("pushed", token.address, here.acme, at=rows[0]["timestamp"])
    assert at["balance"] == rows[0]["balance"]
    stats = await stage.service.get(f"/balances/1001/{token.address}/{here.acme}/stats")
    values = [int(row["balance"]) for row in rows]
    assert (stats["count"], stats["first"], stats["last"]) == (len(rows), rows[-1]["balance"], rows[0]["balance"])
    assert (int(stats["min"]), int(stats["max"])) == (min(values), max(values))
    assert int(stats["change"]) == values[0] - values[-1]


async def test_a_refresh_answers_with_the_newest_block(stage: Stage) -> None:
    number = await stage.mine()
    status, answer = await stage.service.post(f"/balances/pushed/native/{stage.pushed.cold}/refresh")
    assert status == 200
    assert int(answer["balance"]) == await truth.balance(stage.pushed.anvil, "native", stage.pushed.cold)
    assert answer["verifiedBlock"] >= number


def _scaled(raw: int, decimals: int) -> str:
    text = f"{raw // 10**decimals}.{raw % 10**decimals:0{decimals}}"
    return text.rstrip("0").rstrip(".")


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
