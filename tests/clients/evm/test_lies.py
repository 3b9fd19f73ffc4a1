"""What a node must not get away with, told by a server between us and a real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from structlog.testing import capture_logs

from indexer.clients.evm.transfers.leftout import Asked
from indexer.clients.evm.transfers.ranges import moved_in
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed
from indexer.domain.balances import Watch, touched
from indexer.domain.chain import NATIVE, Address, Head, Holding
from indexer.errors import BadAnswer, BlockUnknown, NodeUnreachable, WrongChain
from tests.clients.evm.builders import mined_head, node_at
from tests.fixtures.chain import wallets
from tests.fixtures.fakenode import FakeNode, json_response
from tests.fixtures.liar import Alter, Liar

pytestmark = pytest.mark.node


@pytest_asyncio.fixture
async def liar(anvil: Anvil) -> AsyncIterator[FakeNode]:
    """Asks anvil, and lets `alter(call, answer)` change each answer."""
    async with Liar(anvil.http_url) as fake:
        yield fake


def set_alter(fake: FakeNode, alter: Alter) -> None:
    fake.alter = alter  # type: ignore[attr-defined]  # of a `Liar`


def refused(call: dict[str, Any], code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": code, "message": message}}


def with_overrides(call: dict[str, Any]) -> bool:
    return call["method"] == "eth_call" and len(call["params"]) == 3


@pytest_asyncio.fixture
async def moved(anvil: Anvil, token: Deployed) -> tuple[Head, Watch]:
    """A block in which twenty wallets got seven each."""
    many = wallets(20)
    await token.send("mintMany", many, 7, gas=20_000_000)
    await anvil.set_balance(many[0], 5)
    async with node_at(anvil.http_url) as node:
        return await mined_head(anvil, node), Watch(frozenset([token.address]), frozenset(many))


@pytest.mark.parametrize(
    "refusal",
    [
        lambda call, _: refused(call, -32602, "too many arguments, want at most 2"),
        lambda call, _: refused(call, -32000, "state override is not supported"),
        lambda call, _: refused(call, -32603, "internal error"),
        lambda call, _: refused(call, 3, "execution reverted"),
        lambda call, _: {"jsonrpc": "2.0", "id": call["id"], "result": "0x"},
        lambda call, _: {"jsonrpc": "2.0", "id": call["id"], "result": "0x" + "00" * 33},
        lambda call, _: {"jsonrpc": "2.0", "id": call["id"], "result": None},
    ],
)
async def test_an_endpoint_without_state_overrides_is_read_one_by_one_and_that_is_remembered(
    liar: FakeNode, moved: tuple[Head, Watch], refusal: Alter
) -> None:
    head, watch = moved
    set_alter(liar, lambda call, answer: refusal(call, answer) if with_overrides(call) else answer)
    async with node_at(liar.url) as node:
        found = (await node.read({head: watch.holdings()}))[head.hash]
        assert len(found.values) == 40
        assert found.values[Holding(NATIVE, wallets(1)[0])] == 5
        trips = node.counts.trips
        await node.read({head: watch.holdings()})
        assert node.counts.trips == trips + 1
        assert node._endpoints._endpoints[0].is_well


@pytest.mark.parametrize("batch", [1_000, 5])
async def test_answers_with_swapped_ids_are_refused_and_asked_for_again(
    liar: FakeNode, moved: tuple[Head, Watch], batch: int
) -> None:
    head, watch = moved
    node_at_once = liar.respond
    assert node_at_once is not None
    swaps = [True]

    async def respond(payload: Any) -> web.StreamResponse:
        if isinstance(payload, list) and len(payload) > 1 and swaps and payload[0]["method"] == "eth_call":
            swaps.pop()
            first, second = payload[0]["id"], payload[1]["id"]
            payload = [{**payload[0], "id": second}, {**payload[1], "id": first}, *payload[2:]]
        answer = node_at_once(payload)
        return answer if isinstance(answer, web.StreamResponse) else await answer

    async with node_at(liar.url) as node:
        await node.newest()
        limits = node._endpoints._endpoints[0].limits
        limits.natives = limits.pairs = batch
        liar.respond = respond
        (view,) = await node.look([head], watch)
        assert limits.overrides == 0
        assert not swaps
    assert {key: view.readings.values[key] for key in watch.natives()} == {
        key: 5 if key.solver == wallets(1)[0] else 0 for key in watch.natives()
    }


async def test_a_log_of_another_block_is_refused(liar: FakeNode, moved: tuple[Head, Watch]) -> None:
    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_getLogs":
            for log in answer["result"]:
                log["blockHash"] = "0x" + "77" * 32
        return answer

    set_alter(liar, alter)
    async with node_at(liar.url) as node:
        with pytest.raises(BadAnswer, match="another block"):
            await node.look([moved[0]], moved[1])


async def test_a_removed_log_is_refused(liar: FakeNode, moved: tuple[Head, Watch]) -> None:
    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_getLogs" and answer["result"]:
            answer["result"][-1]["removed"] = True
        return answer

    set_alter(liar, alter)
    async with node_at(liar.url) as node:
        with pytest.raises(BadAnswer, match="another block"):
            await node.look([moved[0]], moved[1])


async def test_logs_beyond_the_filter_are_dropped(liar: FakeNode, moved: tuple[Head, Watch]) -> None:
    head, watch = moved
    fewer = Watch(watch.tokens, frozenset(wallets(3)))

    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_getLogs":
            call["params"][0].pop("topics")
        return answer

    set_alter(liar, alter)
    async with node_at(liar.url) as node:
        (view,) = await node.look([head], fewer)
    assert {one.recipient for one in view.transfers} == set(wallets(3))


def without_logs(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "result": []} if call["method"] == "eth_getLogs" else answer


def late_index() -> Alter:
    """For the first two questions about logs the node has none yet."""
    asked: list[str] = []

    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        asked.append(call["method"])
        return without_logs(call, answer) if asked.count("eth_getLogs") <= 2 else answer

    return alter


async def test_logs_that_are_left_out_are_asked_for_once_more(liar: FakeNode, moved: tuple[Head, Watch]) -> None:
    head, watch = moved
    set_alter(liar, late_index())
    async with node_at(liar.url) as node:
        (view,) = await node.look([head], watch)
    assert {one.recipient for one in view.transfers} == set(wallets(20))


async def test_logs_that_are_left_out_of_history_are_asked_for_once_more(
    liar: FakeNode, moved: tuple[Head, Watch]
) -> None:
    head, watch = moved
    set_alter(liar, late_index())
    async with node_at(liar.url) as node:
        found = await moved_in(node._endpoints, [head], Asked(watch))
    assert {each.transfer.recipient for each in found} == set(wallets(20))


async def test_logs_that_are_left_out_are_asked_for_elsewhere_and_whoever_left_them_out_is_set_aside(
    liar: FakeNode, anvil: Anvil, moved: tuple[Head, Watch]
) -> None:
    head, watch = moved
    set_alter(liar, without_logs)
    async with node_at(liar.url, anvil.http_url) as node:
        (view,) = await node.look([head], watch)
        assert {one.recipient for one in view.transfers} == set(wallets(20))
        assert [endpoint.is_aside for endpoint in node._endpoints._endpoints] == [True, False]


async def test_a_bloom_that_names_somebody_for_another_reason_costs_one_more_request(
    liar: FakeNode, moved: tuple[Head, Watch]
) -> None:
    head, watch = moved
    set_alter(liar, without_logs)
    async with node_at(liar.url) as node:
        (view,) = await node.look([head], watch)
        assert view.transfers == ()
        assert len(view.readings.values) == 20
        trips = node.counts.trips
        await node.look([head], watch)
        assert node.counts.trips == trips + 2
        assert node._endpoints._endpoints[0].is_well
        await node.look([replace(head, bloom=None)], watch)
        assert node.counts.trips == trips + 3


async def logs_of(anvil: Anvil, head: Head) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await anvil.rpc("eth_getLogs", {"blockHash": head.hash})
    return found


async def test_logs_that_a_websocket_told_count_though_they_are_left_out_twice(
    liar: FakeNode, anvil: Anvil, moved: tuple[Head, Watch]
) -> None:
    head, watch = moved
    told: list[tuple[str, int]] = []
    set_alter(liar, without_logs)
    async with node_at(liar.url, on_left_out=lambda found, count: told.append((found, count))) as node:
        for log in await logs_of(anvil, head):
            node._viewer.hints.keep(head.hash, log)
        with capture_logs() as lines:
            (view,) = await node.look([head], watch)
            await node.look([replace(head, bloom=None)], watch)
    assert {(one.recipient, one.amount, one.block_number) for one in view.transfers} == {
        (wallet, 7, head.number) for wallet in wallets(20)
    }
    assert told == [("hint", 20), ("hint", 20)]
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["logs_left_out"]


async def test_a_hint_that_makes_no_sense_is_none(liar: FakeNode, anvil: Anvil, moved: tuple[Head, Watch]) -> None:
    head, watch = moved
    async with node_at(liar.url) as node:
        (log, *_) = await logs_of(anvil, head)
        for index in ("0x77", "x", None):
            node._viewer.hints.keep(head.hash, {**log, "logIndex": index, "blockHash": "0x" + "77" * 32})
        (view,) = await node.look([head], watch)
        assert len(view.transfers) == 20
        assert node._endpoints._endpoints[0].is_well


async def test_who_is_named_by_a_bloom_alone_is_read_in_the_second_question(
    liar: FakeNode, moved: tuple[Head, Watch]
) -> None:
    head, watch = moved
    few = Watch(watch.tokens, frozenset(wallets(16)))
    set_alter(liar, without_logs)
    async with node_at(liar.url) as node:
        (view,) = await node.look([head], few)
        trips = node.counts.trips
        await node.look([head], few)
        assert node.counts.trips == trips + 2
    assert view.transfers == ()
    assert view.suspects == few.holdings() - few.natives()
    assert {view.readings.values[suspect] for suspect in view.suspects} == {7}


async def test_nor_does_it_matter_whether_they_were_read_since_somebody_hinted_at_them(
    liar: FakeNode, moved: tuple[Head, Watch]
) -> None:
    head, watch = moved
    few = Watch(watch.tokens, frozenset(wallets(16)))
    set_alter(liar, without_logs)
    async with node_at(liar.url) as node:
        for holding in few.holdings() - few.natives():
            node._viewer.hints.note(head.hash, holding)
        (view,) = await node.look([head], few)
    assert view.suspects == few.holdings() - few.natives()


async def test_whose_state_is_gone_is_not_read_for_the_bloom(liar: FakeNode, moved: tuple[Head, Watch]) -> None:
    head, watch = moved

    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        is_state = call["method"] in ("eth_call", "eth_getBalance")
        return refused(call, -32000, "missing trie node") if is_state else without_logs(call, answer)

    set_alter(liar, alter)
    async with node_at(liar.url) as node:
        (view,) = await node.look([head], Watch(watch.tokens, frozenset(wallets(16))), natives=False)
    assert not view.readings.values
    assert not view.suspects


async def test_a_log_that_says_another_number_than_its_block_has_is_asked_for_elsewhere(
    liar: FakeNode, anvil: Anvil, moved: tuple[Head, Watch]
) -> None:
    head, watch = moved

    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_getLogs":
            for log in answer["result"]:
                log["blockNumber"] = hex(head.number - 1)
        return answer

    set_alter(liar, alter)
    async with node_at(liar.url) as node:
        with pytest.raises(BadAnswer, match="says to be of"):
            await node.look([head], watch)
    async with node_at(liar.url, anvil.http_url) as node:
        (view,) = await node.look([head], watch)
    assert {one.block_number for one in view.transfers} == {head.number}


@pytest.mark.parametrize(
    ("topics", "data", "amount"),
    [
        (3, 32, 7),  # ERC-20
        (4, 0, 1),  # ERC-721
        (2, 64, None),  # `to` is not indexed
        (2, 32, None),
        (3, 0, None),
        (3, 64, None),
        (4, 32, None),
    ],
)
async def test_a_log_of_a_strange_shape_names_somebody_and_tells_no_amount(
    liar: FakeNode, moved: tuple[Head, Watch], topics: int, data: int, amount: int | None
) -> None:
    head, watch = moved
    alice = wallets(1)[0]

    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_getLogs":
            for log in answer["result"]:
                kind, _, named = log["topics"]
                log["topics"] = [kind, named, *["0x" + "0" * 64] * 2][:topics]
                log["data"] = "0x" + f"{7:064x}{9:064x}"[: 2 * data]
        return answer

    set_alter(liar, alter)
    async with node_at(liar.url) as node:
        (view,) = await node.look([head], watch)
    assert Holding(next(iter(watch.tokens)), alice) in touched(view.transfers, watch)
    assert {one.amount for one in view.transfers} == {amount}


@pytest.mark.parametrize(
    ("result", "error"),
    [(None, BlockUnknown), ("0x", BadAnswer), ({}, BadAnswer), ([5], BadAnswer), ([{}], BadAnswer)],
)
async def test_logs_of_a_strange_shape_are_refused(
    liar: FakeNode, moved: tuple[Head, Watch], result: Any, error: type[Exception]
) -> None:
    set_alter(liar, lambda call, answer: {**answer, "result": result} if call["method"] == "eth_getLogs" else answer)
    async with node_at(liar.url) as node:
        with pytest.raises(error):
            await node.look([moved[0]], moved[1])


async def test_empty_logs_of_a_block_that_the_node_lacks_are_not_believed(
    liar: FakeNode, anvil: Anvil, moved: tuple[Head, Watch]
) -> None:
    head, watch = moved
    await anvil.reorg(1)
    set_alter(
        liar,
        lambda call, answer: (
            {"jsonrpc": "2.0", "id": call["id"], "result": []} if call["method"] == "eth_getLogs" else answer
        ),
    )
    async with node_at(liar.url) as node:
        for natives in (True, False):
            with pytest.raises(BlockUnknown):
                await node.look([head], watch, natives=natives)


async def test_a_null_balance_is_no_zero(liar: FakeNode, moved: tuple[Head, Watch]) -> None:
    set_alter(liar, lambda call, _: {"jsonrpc": "2.0", "id": call["id"], "result": None})
    async with node_at(liar.url) as node:
        with pytest.raises(BadAnswer):
            await node.read({moved[0]: moved[1].natives()})


async def test_a_header_of_another_block_is_refused(liar: FakeNode, moved: tuple[Head, Watch]) -> None:
    other = "0x" + "55" * 32

    def alter(_call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        answer["result"]["hash"] = other
        return answer

    set_alter(liar, alter)
    async with node_at(liar.url) as node:
        with pytest.raises(BadAnswer):
            await node.header(moved[0].hash)


async def test_headers_with_strange_fields_are_read_and_those_without_a_hash_are_not(
    liar: FakeNode, moved: tuple[Head, Watch]
) -> None:
    def poa(_call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        block = answer["result"]
        kept = {name: block[name] for name in ("number", "hash", "parentHash", "timestamp")}
        return {**answer, "result": {**kept, "extraData": "0x" + "d7" * 400, "l1BlockNumber": "0x5", "new": [None]}}

    set_alter(liar, poa)
    async with node_at(liar.url) as node:
        assert await node.newest() == moved[0]

    for missing in ("hash", "number", "parentHash", "timestamp"):

        def alter(_call: dict[str, Any], answer: dict[str, Any], missing: str = missing) -> dict[str, Any]:
            answer["result"][missing] = None
            return answer

        set_alter(liar, alter)
        async with node_at(liar.url) as node:
            with pytest.raises(BadAnswer):
                await node.newest()


async def test_a_provider_that_takes_ten_calls_at_once_still_answers(liar: FakeNode, moved: tuple[Head, Watch]) -> None:
    honest = liar.respond
    assert honest is not None

    def respond(payload: Any) -> Any:
        if isinstance(payload, list) and len(payload) > 10:
            return json_response({"jsonrpc": "2.0", "error": {"code": -32600, "message": "batch size is over 10"}})
        return honest(payload)

    liar.respond = respond
    async with node_at(liar.url, chain_id=31337) as node:
        assert len(await node.headers(0, moved[0].number)) == moved[0].number + 1
        assert len(await node.look([moved[0]] * 12, moved[1])) == 12
        assert node._endpoints._endpoints[0].limits.batch <= 10


async def test_a_provider_without_batches_still_answers(liar: FakeNode, moved: tuple[Head, Watch]) -> None:
    honest = liar.respond
    assert honest is not None

    def respond(payload: Any) -> Any:
        if isinstance(payload, list):
            return json_response({"jsonrpc": "2.0", "error": {"code": -32600, "message": "batch is not allowed"}}, 400)
        return honest(payload)

    liar.respond = respond
    async with node_at(liar.url, chain_id=31337) as node:
        (view,) = await node.look([moved[0]], moved[1])
        assert len(view.transfers) == 20


async def test_too_many_topics_are_asked_in_parts(liar: FakeNode, moved: tuple[Head, Watch]) -> None:
    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_getLogs" and any(len(part or []) > 6 for part in call["params"][0]["topics"][1:]):
            return refused(call, -32602, "exceed max topics")
        return answer

    set_alter(liar, alter)
    async with node_at(liar.url) as node:
        (view,) = await node.look([moved[0]], moved[1])
        assert len(view.transfers) == 20
        trips = node.counts.trips
        await node.look([moved[0]], moved[1])
        assert node.counts.trips == trips + 1


async def test_a_call_throttled_within_a_batch_is_asked_again(liar: FakeNode, moved: tuple[Head, Watch]) -> None:
    left = [2]

    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_getLogs" and left[0]:
            left[0] -= 1
            return refused(call, 429, "exceeded its compute units per second capacity")
        return answer

    set_alter(liar, alter)
    async with node_at(liar.url) as node:
        (view,) = await node.look([moved[0]], moved[1])
    assert len(view.transfers) == 20


async def test_a_key_that_the_provider_repeats_is_not_told(liar: FakeNode) -> None:
    key = "0123456789abcdef0123"
    set_alter(liar, lambda call, _: refused(call, -32000, f"project {key} is unknown to us"))
    async with node_at(f"{liar.url}/v3/{key}", patience_seconds=0.3) as node:
        with pytest.raises(BadAnswer) as caught:
            await node.newest()
        assert key not in str(caught.value)
        assert key not in node.endpoint


async def test_another_chain_is_named_and_refused_at_once(anvil: Anvil) -> None:
    async with node_at(anvil.http_url, chain_id=1, patience_seconds=30) as node:
        with pytest.raises(WrongChain, match=r"follows chain 31337, not 1"):
            await node.identity()


async def test_a_node_that_is_gone_is_said_within_the_patience(wallet: Address) -> None:
    async with Anvil() as gone:
        url = gone.http_url
        head = Head(1, (await gone.block())["hash"], (await gone.block())["hash"], 1)
    async with node_at(url, patience_seconds=0.5) as node:
        with pytest.raises(NodeUnreachable, match="cannot connect"):
            await node.look([head], Watch(solvers=frozenset([wallet])))


async def test_an_endpoint_that_tells_a_time_after_the_year_9999_is_passed_over_for_the_next(
    liar: FakeNode, anvil: Anvil
) -> None:
    def late(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_getBlockByNumber":
            answer["result"]["timestamp"] = hex(1_790_000_000_000)
        return answer

    set_alter(liar, late)
    async with node_at(liar.url, anvil.http_url) as node:
        head = await mined_head(anvil, node)
        assert head.timestamp == int((await anvil.block())["timestamp"], 16)
        assert node.endpoint == f"127.0.0.1:{anvil.port}"
