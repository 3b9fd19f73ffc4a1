"""What we believe of nodes, checked on anvil 1.7; where geth differs, the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect

from indexer.clients.evm.asking.multiread import PLACE
from indexer.clients.evm.transfers.logs import TRANSFER, topic_of
from indexer.demo.anvil import Anvil, AnvilFailed
from indexer.demo.contracts import Deployed
from indexer.domain.chain import Address
from tests.fixtures.chain import wallets

pytestmark = pytest.mark.node


async def refusal(anvil: Anvil, method: str, *params: Any) -> dict[str, Any]:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with aiohttp.ClientSession() as session, session.post(anvil.http_url, json=body) as response:
        answer: dict[str, Any] = await response.json()
    return dict(answer["error"])


@pytest_asyncio.fixture
async def socket(anvil: Anvil) -> AsyncIterator[ClientConnection]:
    async with connect(anvil.ws_url, proxy=None) as connection:
        yield connection


async def asked(socket: ClientConnection, method: str, *params: Any) -> Any:
    await socket.send(orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}), text=True)
    return orjson.loads(await socket.recv(decode=False))["result"]


async def told(socket: ClientConnection) -> dict[str, Any]:
    notice = orjson.loads(await asyncio.wait_for(socket.recv(decode=False), 20))
    return dict(notice["params"]["result"])


async def test_state_is_read_at_a_block_hash(anvil: Anvil, wallet: Address) -> None:
    await anvil.mine()
    before = (await anvil.block())["hash"]
    await anvil.send(wallet, value=5)
    await anvil.mine()
    after = (await anvil.block())["hash"]
    balances = [await anvil.rpc("eth_getBalance", wallet, {"blockHash": block}) for block in (before, after)]
    assert balances == ["0x0", "0x5"]


async def test_a_state_override_puts_code_where_there_is_none(anvil: Anvil) -> None:
    place, returns_seven = "0x" + "b1" * 20, "0x600760005260206000f3"
    head = (await anvil.block())["hash"]
    answer = await anvil.rpc("eth_call", {"to": place}, {"blockHash": head}, {place: {"code": returns_seven}})
    assert int(answer, 16) == 7
    assert await anvil.rpc("eth_call", {"to": place}, {"blockHash": head}) == "0x"


async def test_a_state_override_leaves_what_is_stored_there(anvil: Anvil) -> None:
    """EIP-2935: the state of a block has the hash of the one below it, by number modulo 8191, and not yet its own."""
    await anvil.mine(3)
    block = await anvil.block(2)
    read = [f"0x60{slot:02x}5460005260206000f3" for slot in (1, 2)]
    pinned = {"blockHash": block["hash"]}
    found = [await anvil.rpc("eth_call", {"to": PLACE}, pinned, {PLACE: {"code": code}}) for code in read]
    assert found == [block["parentHash"], "0x" + "0" * 64]


async def test_who_ignores_overrides_asks_a_contract_that_refuses_what_we_ask(anvil: Anvil) -> None:
    asked = {"to": PLACE, "data": "0x" + "11" * 52}
    with pytest.raises(AnvilFailed, match="revert"):
        await anvil.rpc("eth_call", asked, "latest")


async def test_an_orphaned_hash_is_refused_in_four_ways(anvil: Anvil, wallet: Address) -> None:
    await anvil.mine(2)
    orphan = (await anvil.block())["hash"]
    await anvil.reorg(1)
    assert await anvil.rpc("eth_getBlockByHash", orphan, False) is None
    assert await anvil.rpc("eth_getBlockTransactionCountByHash", orphan) is None
    assert (await refusal(anvil, "eth_getLogs", {"blockHash": orphan}))["code"] == -32000
    assert (await refusal(anvil, "eth_getBalance", wallet, {"blockHash": orphan}))["code"] == -32001
    assert (await refusal(anvil, "eth_call", {"to": wallet}, {"blockHash": orphan}))["code"] == -32001


async def test_state_of_a_future_number_is_refused(anvil: Anvil, wallet: Address) -> None:
    assert (await refusal(anvil, "eth_getBalance", wallet, "0x999"))["code"] == -32602
    assert await anvil.rpc("eth_getBlockByNumber", "0x999", False) is None


async def test_finality_tags_are_known(anvil: Anvil) -> None:
    await anvil.mine(100)
    numbers = [int((await anvil.block(tag))["number"], 16) for tag in ("finalized", "safe", "latest")]
    assert numbers == sorted(numbers)
    assert numbers[0] < numbers[2]


async def test_a_reorg_sends_every_new_head_and_takes_no_log_back(
    anvil: Anvil, token: Deployed, socket: ClientConnection, wallet: Address
) -> None:
    """geth also sends the orphaned logs with `removed: true`."""
    heads = await asked(socket, "eth_subscribe", "newHeads")
    await asked(socket, "eth_subscribe", "logs", {"address": [token.address], "topics": [TRANSFER]})
    await token.send("mint", wallet, 1)
    await anvil.mine(2)
    first = [await told(socket) for _ in range(3)]
    assert sum("topics" in notice for notice in first) == 1
    await anvil.reorg(2)
    await anvil.mine()
    newest = (await anvil.block())["hash"]
    later: list[dict[str, Any]] = []
    while not later or later[-1].get("hash") != newest:
        later.append(await told(socket))
    assert not any(notice.get("removed") for notice in later)
    assert len([notice for notice in later if "parentHash" in notice]) == 3
    assert heads


async def test_logs_are_filtered_by_token_and_by_wallet_in_one_position(
    anvil: Anvil, token: Deployed, socket: ClientConnection
) -> None:
    ours, other, stranger = wallets(3)
    await asked(
        socket,
        "eth_subscribe",
        "logs",
        {"address": [token.address], "topics": [TRANSFER, None, [topic_of(ours), topic_of(other)]]},
    )
    await token.send("mintMany", [stranger, ours, stranger, other], 1)
    await anvil.mine()
    recipients = [(await told(socket))["topics"][2] for _ in range(2)]
    assert recipients == [topic_of(ours), topic_of(other)]


async def test_burst_blocks_are_linked_whatever_their_time(anvil: Anvil) -> None:
    await anvil.mine(5)
    blocks = [await anvil.block(number) for number in range(1, 6)]
    assert all(child["parentHash"] == parent["hash"] for parent, child in pairwise(blocks))


async def test_a_call_without_a_gas_limit_gets_the_block_s() -> None:
    """geth gives 50 million, and says "out of gas" in words of its own."""
    place, tells_gas = "0x" + "b1" * 20, "0x5a60005260206000f3"
    async with Anvil(gas_limit=5_000_000) as small:
        head = (await small.block())["hash"]
        answer = await small.rpc("eth_call", {"to": place}, {"blockHash": head}, {place: {"code": tells_gas}})
        assert 4_000_000 < int(answer, 16) < 5_000_000
