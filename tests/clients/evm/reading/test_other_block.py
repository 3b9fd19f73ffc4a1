"""Reads that a node answers for another block than the one asked for, or with its state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from structlog.testing import capture_logs

from indexer.clients.evm import EvmNode
from indexer.clients.evm.asking.multiread import TAIL_BYTES
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, BlockHash, Holding, KnownBlock
from indexer.errors import BadAnswer, NodeUnreachable
from tests.clients.evm.builders import node_at
from tests.fixtures.chain import wallets
from tests.fixtures.fakenode import FakeNode, json_response

pytestmark = pytest.mark.node

WALLET = wallets(1)[0]
NATIVES = (Holding(NATIVE, WALLET),)
WATCH = Watch(frozenset(), frozenset([WALLET]))

Ask = Callable[[dict[str, Any]], dict[str, Any]]


class Stray(FakeNode):
    """Hands anvil the calls that `ask` makes of ours, and on what `tell` makes of its answers."""

    def __init__(self) -> None:
        super().__init__()
        self.ask: Ask = lambda call: call
        self.tell: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]] = lambda _call, answer: answer


@pytest_asyncio.fixture
async def stray(anvil: Anvil) -> AsyncIterator[Stray]:
    async with Stray() as fake, aiohttp.ClientSession() as session:

        async def respond(payload: Any) -> web.StreamResponse:
            calls = payload if isinstance(payload, list) else [payload]
            async with session.post(anvil.http_url, json=[fake.ask(call) for call in calls]) as response:
                by_id = {part["id"]: part for part in await response.json()}
            told = [fake.tell(call, by_id[call["id"]]) for call in calls]
            return json_response(told if isinstance(payload, list) else told[0])

        fake.respond = respond
        yield fake


@pytest_asyncio.fixture
async def blocks(anvil: Anvil) -> list[BlockHash]:
    """Ten blocks by number, with one wei more for the wallet in each from the third on."""
    found = [BlockHash((await anvil.block(0))["hash"])]
    for number in range(1, 11):
        if number > 2:
            await anvil.send(WALLET, value=1)
        await anvil.mine()
        found.append(BlockHash((await anvil.block(number))["hash"]))
    return found


def is_program(call: dict[str, Any]) -> bool:
    return call["method"] == "eth_call" and len(call["params"]) == 3


def instead(asked: str, told: str) -> Ask:
    """Programs for one block run at another one."""

    def ask(call: dict[str, Any]) -> dict[str, Any]:
        if not is_program(call) or call["params"][1].get("blockHash") != asked:
            return call
        target, _, placed = call["params"]
        return {**call, "params": [target, {"blockHash": told}, placed]}

    return ask


def in_words(*changed: tuple[int, int]) -> Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]:
    """Facts, counted from the first, with other values than they have."""

    def tell(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if not is_program(call):
            return answer
        raw = bytearray.fromhex(answer["result"][2:])
        for fact, value in changed:
            at = len(raw) - TAIL_BYTES + 32 * fact
            raw[at : at + 32] = value.to_bytes(32)
        return {**answer, "result": "0x" + raw.hex()}

    return tell


async def balance_at(node: EvmNode, block: KnownBlock) -> int:
    return (await node.read({block: NATIVES}))[block.hash].values[NATIVES[0]]


@pytest.mark.parametrize("other", [8, 10])
@pytest.mark.parametrize("knows_parent", [True, False])
async def test_the_balance_of_another_block_is_never_believed(
    stray: Stray, blocks: list[BlockHash], other: int, knows_parent: bool
) -> None:
    stray.ask = instead(blocks[9], blocks[other])
    async with node_at(stray.url) as node:
        (head,) = await node.headers(9, 9)
        with pytest.raises(BadAnswer, match="another block than 9"):
            await node.read({head if knows_parent else head.ref: NATIVES})
        assert await balance_at(node, (await node.headers(8, 8))[0]) == 6


async def test_it_is_asked_again_and_the_right_answer_is_taken(stray: Stray, blocks: list[BlockHash]) -> None:
    asked: list[str] = []

    def ask(call: dict[str, Any]) -> dict[str, Any]:
        if is_program(call) and call["params"][1]["blockHash"] == blocks[9]:
            asked.append(call["method"])
        return instead(blocks[9], blocks[10])(call) if len(asked) == 1 else call

    stray.ask = ask
    async with node_at(stray.url) as node:
        (head,) = await node.headers(9, 9)
        assert await balance_at(node, head) == 7
        assert node.counts.other_blocks == 1


async def test_another_endpoint_is_asked_and_whoever_strays_is_told_of_once(
    anvil: Anvil, stray: Stray, blocks: list[BlockHash]
) -> None:
    stray.ask = instead(blocks[9], blocks[10])
    told: list[str] = []
    async with node_at(stray.url, anvil.http_url, on_other_block=told.append) as node:
        (head,) = await node.headers(9, 9)
        with capture_logs() as logs:
            assert [await balance_at(node, head) for _ in range(3)] == [7, 7, 7]
            (view,) = await node.look([head], WATCH)
    assert view.readings.values[NATIVES[0]] == 7
    assert len(told) > 1
    (said,) = [line for line in logs if line["event"] == "endpoint_answered_for_another_block"]
    assert (said["block"], said["log_level"]) == (9, "warning")
    assert said["facts"] == ["number", "parent", "state"] or "timestamp" in said["facts"]


async def test_the_block_s_own_number_with_the_next_state_is_not_believed(
    stray: Stray, blocks: list[BlockHash], anvil: Anvil
) -> None:
    """Its number, its timestamp and its parent, and the balances of the block above."""
    header = await anvil.block(9)
    ours = ((0, 9), (1, int(header["timestamp"], 16)), (2, int(header["parentHash"], 16)))
    stray.ask = instead(blocks[9], blocks[10])
    stray.tell = lambda call, answer: (
        in_words(*ours)(call, answer) if is_program(call) and call["params"][1]["blockHash"] == blocks[9] else answer
    )
    async with node_at(stray.url) as node:
        (head,) = await node.headers(9, 9)
        with pytest.raises(BadAnswer, match="by its state"):
            await node.read({head.ref: NATIVES})


@pytest.mark.parametrize(
    ("foreign", "facts"),
    [
        ([(0, 123), (2, 99)], ["number", "parent"]),
        ([(0, 11), (1, 2**40), (2, 99)], ["number", "parent", "timestamp"]),
        ([(3, 5), (4, 6)], ["state"]),
    ],
)
@pytest.mark.usefixtures("blocks")
async def test_what_means_something_else_there_is_not_compared_and_that_is_said_once(
    stray: Stray, foreign: list[tuple[int, int]], facts: list[str]
) -> None:
    stray.tell = in_words(*foreign)
    async with node_at(stray.url) as node:
        heads = await node.headers(8, 10)
        with capture_logs() as logs:
            assert [await balance_at(node, head) for head in heads] == [6, 7, 8]
            trips = node.counts.trips
            assert [await balance_at(node, head.ref) for head in heads] == [6, 7, 8]
        assert node.counts.trips == trips + 3
        assert node.counts.other_blocks == 0
        assert [line["facts"] for line in logs if line["event"] == "facts_not_compared"] == [facts]


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.usefixtures("blocks")
async def test_a_number_that_fits_the_very_first_block_may_still_mean_something_else(stray: Stray, number: int) -> None:
    """On a young chain: there the first is among the few to compare with, and zero is zero everywhere."""
    stray.tell = in_words((0, 0))
    async with node_at(stray.url) as node:
        (head,) = await node.headers(number, number)
        assert await balance_at(node, head) == max(0, number - 2)


@pytest.mark.usefixtures("blocks")
async def test_questions_that_are_under_way_together_all_find_out_what_means_something_else(stray: Stray) -> None:
    stray.tell = in_words((0, 123), (2, 99))
    async with node_at(stray.url) as node:
        heads = await node.headers(4, 10)
        assert await asyncio.gather(*(balance_at(node, head) for head in heads)) == [2, 3, 4, 5, 6, 7, 8]
        assert node.counts.other_blocks == 0


async def test_what_is_compared_still_finds_another_block(stray: Stray, blocks: list[BlockHash]) -> None:
    stray.tell = in_words((0, 123), (2, 99))
    async with node_at(stray.url) as node:
        (head,) = await node.headers(10, 10)
        assert await balance_at(node, head) == 8
        stray.ask = instead(blocks[9], blocks[10])
        (below,) = await node.headers(9, 9)
        with pytest.raises(BadAnswer, match="another block than 9"):
            await node.read({below.ref: NATIVES})


async def test_an_older_state_is_found_where_programs_run_as_in_the_next_block(
    stray: Stray, blocks: list[BlockHash], anvil: Anvil
) -> None:
    """There the parent's hash alone tells, which who asks may not know."""
    header = await anvil.block(9)
    as_in_the_next = ((0, 11), (1, 2**40), (2, int(header["hash"], 16)))
    stray.tell = in_words(*as_in_the_next)
    async with node_at(stray.url) as node:
        head, ours = await node.headers(9, 10)
        assert await balance_at(node, ours) == 8  # by now it is known what means something else
        trips = node.counts.trips
        assert await balance_at(node, head.ref) == 7
        assert node.counts.trips == trips + 1
        stray.ask = instead(blocks[9], blocks[8])
        stray.tell = in_words(*as_in_the_next, (3, 5))  # what a chain of more than 8,191 blocks has there by then
        with pytest.raises(BadAnswer, match="by its state"):
            await node.read({head.ref: NATIVES})


@pytest.mark.parametrize("answered", [0, 3])
async def test_who_begins_to_answer_for_the_block_below_is_never_believed(
    stray: Stray, blocks: list[BlockHash], answered: int
) -> None:
    """Not even where it does so of every block that it is held against, and after it was lost."""
    async with node_at(stray.url) as node:
        heads = await node.headers(1, 10)
        for head in heads[5 : 5 + answered]:
            assert await balance_at(node, head) == head.number - 2

        def ask(call: dict[str, Any]) -> dict[str, Any]:
            if not is_program(call):
                return call
            target, asked, placed = call["params"]
            return {**call, "params": [target, {"blockHash": blocks[blocks.index(asked["blockHash"]) - 1]}, placed]}

        stray.ask = ask
        for _ in range(4):
            with pytest.raises((BadAnswer, NodeUnreachable)):
                await node.read({heads[9]: NATIVES})


async def test_an_honest_endpoint_is_asked_nothing_more(anvil: Anvil, blocks: list[BlockHash]) -> None:
    async with node_at(anvil.http_url) as node:
        (head,) = await node.headers(len(blocks) - 1, len(blocks) - 1)
        trips = node.counts.trips
        await node.look([head], WATCH)
        await node.read({head: NATIVES})
        assert node.counts.trips == trips + 2


async def test_a_chain_without_hashes_in_its_state_is_read_all_the_same() -> None:
    async with Anvil(args=("--hardfork", "cancun")) as anvil, node_at(anvil.http_url) as node:
        await anvil.send(WALLET, value=3)
        await anvil.mine(3)
        assert await balance_at(node, await node.newest()) == 3
        assert node.counts.other_blocks == 0


async def test_no_wrong_balance_is_read_at_the_tip_while_blocks_come_without_pause(
    anvil: Anvil, token: Deployed
) -> None:
    """anvil 1.7.1 looks a block up, and may take the next one's state for it: a bare script reads 9 in 100 wrong."""
    holdings = (*NATIVES, Holding(token.address, WALLET))
    base = int((await anvil.block())["number"], 16)
    found: list[tuple[int, list[int]]] = []
    has_ended = asyncio.Event()

    async def read(node: EvmNode) -> None:
        while not has_ended.is_set():
            try:
                head = await node.newest()
                values = (await node.read({head: holdings}))[head.hash].values
            except (BadAnswer, NodeUnreachable):
                continue
            found.append((head.number, [values[each] for each in holdings]))

    async with node_at(anvil.http_url) as one, node_at(anvil.http_url) as other:
        readers = [asyncio.create_task(read(node)) for node in (one, other)]
        for _ in range(300):
            await anvil.send(WALLET, value=1)
            await token.send("mint", WALLET, 1)
            await anvil.mine()
        has_ended.set()
        await asyncio.gather(*readers)
    assert found
    assert [values for _, values in found] == [[number - base, number - base] for number, _ in found]
