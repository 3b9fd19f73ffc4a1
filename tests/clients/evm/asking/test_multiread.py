from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.clients.evm.asking.calls import Call, Limits, Reply, TooMuch, joined
from indexer.clients.evm.asking.multiread import assemble, pairs_found
from indexer.clients.evm.reading.readings import Natives, readings
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed, deploy
from indexer.domain.chain import NATIVE, Address, BlockHash, BlockRef, Holding, KnownBlock
from tests.clients.evm.builders import mined_head, node_at
from tests.fixtures.chain import wallets


def test_the_assembler_pushes_literals_at_their_width_and_finds_labels_in_both_directions() -> None:
    assert assemble("0x00 top: @end JUMPI 0x2710 @top JUMP end: ; a note").hex() == "60005b600c576127106002565b"


def test_a_pair_counts_only_with_success_and_exactly_one_word() -> None:
    def answer(success: int, size: int) -> bytes:
        return (size << 1 | success).to_bytes(32) + (7).to_bytes(32)

    assert pairs_found(answer(1, 32) + answer(0, 32) + answer(1, 31) + answer(1, 64) + answer(1, 0)) == [
        7,
        None,
        None,
        None,
        None,
    ]


@pytest.mark.node
async def test_many_at_once_and_one_by_one_agree(anvil: Anvil, token: Deployed) -> None:
    many = wallets(300)
    largest = await deploy(anvil, "OddToken", 32, 0)
    await token.send("mintMany", many[::2], 7, gas=50_000_000)
    await anvil.set_balance(many[5], 2**255)
    async with node_at(anvil.http_url) as node:
        head = await mined_head(anvil, node)
        wanted = [Holding(part, wallet) for wallet in many for part in (NATIVE, token.address, largest.address)]
        at_once = (await node.read({head: wanted}))[head.hash]
        node._endpoints._endpoints[0].limits.overrides = 1_000
        singly = (await node.read({head: wanted}))[head.hash]
    assert at_once.values == singly.values
    assert at_once.values[Holding(largest.address, many[0])] == 2**256 - 1
    assert at_once.values[Holding(NATIVE, many[5])] == 2**255
    assert len(at_once.values) == 900


@pytest.mark.node
async def test_what_one_call_has_no_gas_for_is_asked_in_smaller_parts_and_that_is_remembered() -> None:
    async with Anvil(gas_limit=30_000_000) as anvil, node_at(anvil.http_url) as node:
        hungry = await deploy(anvil, "HungryToken")
        many = wallets(400)
        await hungry.send("set", many[3], 9, 150_000)
        head = await mined_head(anvil, node)
        wanted: dict[KnownBlock, list[Holding]] = {head: [Holding(hungry.address, wallet) for wallet in many]}
        first = await node.read(wanted)
        limits = node._endpoints._endpoints[0].limits
        assert limits.pairs < 200
        before = node.counts.trips
        assert await node.read(wanted) == first
        assert node.counts.trips == before + 1
        assert first[head.hash].values[Holding(hungry.address, many[3])] == 9
        assert len(first[head.hash].values) == 400


@pytest.mark.node
async def test_a_token_that_burns_its_gas_does_not_starve_the_others(anvil: Anvil, token: Deployed) -> None:
    burning = await deploy(anvil, "OddToken", 0, 2)
    many = wallets(30)
    await token.send("mintMany", many, 5, gas=50_000_000)
    async with node_at(anvil.http_url) as node:
        head = await mined_head(anvil, node)
        wanted = [Holding(part, wallet) for wallet in many for part in (burning.address, token.address)]
        found = (await node.read({head: wanted}))[head.hash]
    assert found.values == {Holding(token.address, wallet): 5 for wallet in many}
    assert set(found.unreadable) == {Holding(burning.address, wallet) for wallet in many}


def test_a_thousand_wallets_are_one_call() -> None:
    block = BlockRef(1, BlockHash("0x" + "11" * 32), 1)
    natives = Natives(Holding(NATIVE, wallet) for wallet in wallets(1_000))
    assert len(joined([readings(block, natives, [], Limits())]).calls) == 1


def test_pairs_are_chunked_by_the_endpoint_s_limit() -> None:
    block = BlockRef(1, BlockHash("0x" + "11" * 32), 1)
    pairs = [Holding(Address("0x" + "22" * 20), wallet) for wallet in wallets(25)]
    assert len(readings(block, Natives([]), pairs, Limits(pairs=10)).calls) == 3


def test_wallets_and_tokens_of_a_block_are_one_call() -> None:
    block = BlockRef(1, BlockHash("0x" + "11" * 32), 1)
    natives = Natives(Holding(NATIVE, wallet) for wallet in wallets(50))
    pairs = [Holding(Address("0x" + "22" * 20), wallet) for wallet in wallets(50)]
    assert len(readings(block, natives, pairs, Limits()).calls) == 1
    assert len(readings(block, natives, pairs, Limits(natives=20, pairs=20)).calls) == 3


@given(coins=st.integers(0, 6), tokens=st.integers(0, 6), gas=st.integers(0, 20))
def test_what_a_call_had_no_gas_for_is_asked_for_in_smaller_parts_until_all_is_read(
    coins: int, tokens: int, gas: int
) -> None:
    """One wallet costs one, one token three; an endpoint with gas for neither is asked one by one."""
    block = BlockRef(7, BlockHash("0x" + "11" * 32), 7)
    natives = Natives(Holding(NATIVE, wallet) for wallet in wallets(coins))
    pairs = [Holding(Address("0x" + "22" * 20), wallet) for wallet in wallets(tokens)]
    limits = Limits(natives=4, pairs=4)
    for _ in range(20):
        plan = readings(block, natives, pairs, limits)
        if any(call.method != "eth_call" or len(call.params) < 3 for call in plan.calls):
            assert gas < 4
            return
        try:
            found = plan.read([Reply(_run(call, gas)) for call in plan.calls])
        except TooMuch as problem:
            if not limits.lower(problem):
                raise
        else:
            assert found.values.keys() == {*natives.holdings, *pairs}
            assert all(value == _balance(holding.solver) for holding, value in found.values.items())
            return
    raise AssertionError("it never fitted")


def _balance(wallet: str) -> int:
    return int(wallet, 16) % 1_000


def _run(call: Call, gas: int) -> str:
    """What the program returns with so much gas."""
    data = bytes.fromhex(orjson.loads(orjson.dumps(call.params[0]))["data"][2:])
    end, number = int.from_bytes(data[-64:-32]), data[-32:]
    words = []
    for at in range(0, end, 20):
        if gas < 1:
            break
        gas -= 1
        words.append(_balance(data[at : at + 20].hex()).to_bytes(32))
    else:
        for at in range(end, len(data) - 64, 40):
            if gas < 3:
                break
            gas -= 3
            words += [(65).to_bytes(32), _balance(data[at + 20 : at + 40].hex()).to_bytes(32)]
    return "0x" + b"".join([*words, number, number, bytes(96), data[:32]]).hex()
