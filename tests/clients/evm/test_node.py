from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from indexer.addresses import ZERO, checksum
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed, deploy
from indexer.domain.balances import Watch, touched
from indexer.domain.chain import NATIVE, Address, BlockHash, Head, Holding
from indexer.errors import BlockUnknown, NodeUnreachable
from tests.clients.evm.builders import mined_head, node_at
from tests.fixtures.chain import wallets

pytestmark = pytest.mark.node


async def test_the_identity_is_chain_id_and_genesis() -> None:
    async with Anvil(chain_id=77) as anvil, node_at(anvil.http_url) as node:
        identity = await node.identity()
        assert identity.chain_id == 77
        assert identity.genesis == (await anvil.block(0))["hash"]


async def test_a_node_that_is_down_at_the_start_is_told_within_seconds() -> None:
    async with node_at("http://127.0.0.1:1") as node, asyncio.timeout(6):
        with pytest.raises(NodeUnreachable, match="cannot connect"):
            await node.identity()


async def test_headers_come_in_order_and_linked(anvil: Anvil) -> None:
    await anvil.mine(20)
    async with node_at(anvil.http_url) as node:
        heads = await node.headers(5, 20)
        assert [head.number for head in heads] == list(range(5, 21))
        assert all(child.parent == parent.hash for parent, child in pairwise(heads))
        assert heads[-1] == await node.newest()
        assert await node.header(heads[3].hash) == heads[3]


async def test_headers_of_the_future_are_unknown(anvil: Anvil) -> None:
    async with node_at(anvil.http_url) as node:
        with pytest.raises(BlockUnknown):
            await node.headers(0, 5)


async def test_a_look_finds_transfers_in_both_directions_once(anvil: Anvil, token: Deployed) -> None:
    ours, other, stranger = wallets(3)
    watch = Watch(frozenset([token.address]), frozenset([ours, other]))
    await token.send("mint", ours, 100)
    await token.send("move", ours, other, 30)
    await token.send("move", other, stranger, 5)
    await token.send("mint", stranger, 1)
    async with node_at(anvil.http_url) as node:
        head = await mined_head(anvil, node)
        (view,) = await node.look([head], watch)
    assert [(one.sender, one.recipient, one.amount) for one in view.transfers] == [
        (ZERO, ours, 100),
        (ours, other, 30),
        (other, stranger, 5),
    ]
    assert [one.log_index for one in view.transfers] == [0, 1, 2]
    assert {one.block_hash for one in view.transfers} == {head.hash}
    assert touched(view.transfers, watch) == {Holding(token.address, ours), Holding(token.address, other)}


async def test_tokens_that_are_not_watched_are_not_seen(anvil: Anvil, token: Deployed, wallet: Address) -> None:
    await token.send("mint", wallet, 1)
    async with node_at(anvil.http_url) as node:
        head = await mined_head(anvil, node)
        (view,) = await node.look([head], Watch(frozenset([wallets(1, 0x9999)[0]]), frozenset([wallet])))
    assert view.transfers == ()


async def test_native_coins_moved_inside_a_contract_are_read(anvil: Anvil, wallet: Address) -> None:
    payer = await deploy(anvil, "Payer")
    await payer.send("pay", wallet, 12345, value=12345)
    async with node_at(anvil.http_url) as node:
        head = await mined_head(anvil, node)
        (view,) = await node.look([head], Watch(solvers=frozenset([wallet])))
        (without,) = await node.look([head], Watch(solvers=frozenset([wallet])), natives=False)
    assert view.readings.values == {Holding(NATIVE, wallet): 12345}
    assert without.readings.values == {}


async def test_any_number_of_wallets_and_blocks_is_one_round_trip(anvil: Anvil, token: Deployed) -> None:
    many = wallets(1_000)
    watch = Watch(frozenset([token.address]), frozenset(many))
    await token.send("mintMany", many[:100], 7, gas=100_000_000)
    async with node_at(anvil.http_url) as node:
        await anvil.mine(9)
        heads = await node.headers(1, 10)
        before = node.counts.trips
        views = await node.look(heads, watch)
        assert node.counts.trips == before + 1
        assert [view.head for view in views] == list(heads)
        assert [len(view.transfers) for view in views] == [0, 100, *[0] * 8]
        assert all(len(view.readings.values) == 1_000 for view in views)


async def test_holdings_that_logs_hinted_at_travel_along(anvil: Anvil, token: Deployed, wallet: Address) -> None:
    await token.send("mint", wallet, 8)
    async with node_at(anvil.http_url) as node:
        head = await mined_head(anvil, node)
        node._viewer.hints.note(head.hash, Holding(token.address, wallet))
        node._viewer.hints.note(head.hash, Holding(token.address, wallets(9)[8]))
        before = node.counts.trips
        (view,) = await node.look([head], Watch(frozenset([token.address]), frozenset([wallet])))
        assert node.counts.trips == before + 1
    assert view.readings.values == {Holding(token.address, wallet): 8, Holding(NATIVE, wallet): 0}


async def test_reads_of_several_blocks_are_pinned_to_each(anvil: Anvil, token: Deployed, wallet: Address) -> None:
    async with node_at(anvil.http_url) as node:
        heads: list[Head] = []
        for _ in range(3):
            await token.send("mint", wallet, 10)
            heads.append(await mined_head(anvil, node))
        holding = Holding(token.address, wallet)
        found = await node.read({head: [holding] for head in heads})
        assert [found[head.hash].values[holding] for head in heads] == [10, 20, 30]
        assert await node.read({}) == {}
        assert (await node.read({heads[0]: []}))[heads[0].hash].values == {}


async def test_a_block_in_the_place_of_another_takes_two_questions_that_can_be_asked_at_once(
    anvil: Anvil, token: Deployed
) -> None:
    bob, carol = wallets(2)
    watch = Watch(frozenset([token.address]), frozenset([bob, carol]))
    await token.send("mint", bob, 7)
    async with node_at(anvil.http_url) as node:
        await mined_head(anvil, node)
        await token.send("mint", bob, 5)
        orphaned = await mined_head(anvil, node)
        call = {"from": anvil.accounts[0], "to": token.address, "data": token.contract.data("mint", carol, 6)}
        await anvil.reorg(1, [({**call, "gas": hex(1_000_000)}, 0)])
        ancestor, head = await node.headers(orphaned.number - 1, orphaned.number)
        moved = [Holding(token.address, bob), Holding(NATIVE, bob)]
        before = node.counts.trips
        found = await node.replacement(ancestor, head, watch, moved)
        parting = await node.parting(ancestor, head, moved)
        assert node.counts.trips == before + 2
        surprise = Holding(token.address, carol)
        assert found.canonical == parting.canonical == (ancestor, head)
        assert parting.before.values == {moved[0]: 7, moved[1]: 0}
        assert found.view.readings.values == {moved[0]: 7, moved[1]: 0, Holding(NATIVE, carol): 0}
        assert touched(found.view.transfers, watch) == {surprise}
        with pytest.raises(BlockUnknown):
            await node.replacement(ancestor, orphaned, watch, moved)
        assert (await node.parting(ancestor, orphaned, moved)).canonical == (ancestor, head)
        with pytest.raises(BlockUnknown):
            await node.parting(orphaned, head, moved)


async def test_an_orphaned_block_is_unknown_and_never_zero(anvil: Anvil, token: Deployed, wallet: Address) -> None:
    watch = Watch(frozenset([token.address]), frozenset([wallet]))
    async with node_at(anvil.http_url) as node:
        head = await mined_head(anvil, node, 2)
        await anvil.reorg(1)
        assert await node.header(head.hash) is None
        for natives in (True, False):
            with pytest.raises(BlockUnknown):
                await node.look([head], watch, natives=natives)
        with pytest.raises(BlockUnknown):
            await node.read({head: [Holding(token.address, wallet)]})


async def test_a_block_that_nobody_has_is_unknown_even_without_anything_to_read(anvil: Anvil) -> None:
    nowhere = BlockHash("0x" + "12" * 32)
    async with node_at(anvil.http_url) as node:
        with pytest.raises(BlockUnknown):
            await node.look([Head(1, nowhere, nowhere, 1)], Watch())


async def test_odd_tokens_are_unreadable_with_the_reason(anvil: Anvil, wallet: Address) -> None:
    cases = {
        (31, 0): "31 bytes instead of 32",
        (64, 0): "64 bytes instead of 32",
        (0, 0): "no bytes instead of 32",
        (0, 1): "no balances here",
        (0, 2): "balanceOf fails",
        (0, 3): "too much gas",
    }
    odd = {(await deploy(anvil, "OddToken", *kind)).address: reason for kind, reason in cases.items()}
    nobody = wallets(1, 0x7777)[0]
    odd[nobody] = "no bytes"
    async with node_at(anvil.http_url) as node:
        head = await mined_head(anvil, node)
        before = node.counts.trips
        found = (await node.read({head: [Holding(token, wallet) for token in odd]}))[head.hash]
        assert node.counts.trips == before + 2
    assert found.values == {}
    for token, reason in odd.items():
        assert reason in found.unreadable[Holding(token, wallet)]


async def test_balances_that_move_without_a_transfer_are_read_all_the_same(anvil: Anvil, wallet: Address) -> None:
    rebasing = await deploy(anvil, "RebasingToken")
    silent = await deploy(anvil, "SilentToken")
    fee = await deploy(anvil, "FeeToken")
    other = wallets(2)[1]
    await rebasing.send("mint", wallet, 1_000)
    await fee.send("mint", other, 1_000)
    await anvil.mine()
    await rebasing.send("rebase", 2 * 10**18)
    await silent.send("mintSilently", wallet, 55)
    await fee.send("move", other, wallet, 1_000)
    watch = Watch(frozenset([rebasing.address, silent.address, fee.address]), frozenset([wallet]))
    async with node_at(anvil.http_url) as node:
        head = await mined_head(anvil, node)
        (view,) = await node.look([head], watch)
        found = await node.read({head: watch.holdings()})
    assert [one.amount for one in view.transfers] == [1_000]
    values = found[head.hash].values
    assert values[Holding(rebasing.address, wallet)] == 2_000
    assert values[Holding(silent.address, wallet)] == 55
    assert values[Holding(fee.address, wallet)] == 990


async def test_five_thousand_transfers_in_a_block_are_all_there(anvil: Anvil, token: Deployed) -> None:
    many = wallets(5_000)
    await token.send("mintMany", many, 3, gas=1_000_000_000)
    async with node_at(anvil.http_url) as node:
        head = await mined_head(anvil, node)
        (view,) = await node.look([head], Watch(frozenset([token.address]), frozenset(many)))
        assert len(view.transfers) == 5_000
        assert len(view.readings.values) == 5_000
        found = await node.read({head: touched(view.transfers, Watch(frozenset([token.address]), frozenset(many)))})
        assert set(found[head.hash].values.values()) == {3}


async def test_finality_is_told_where_the_chain_has_it(anvil: Anvil) -> None:
    await anvil.mine(100)
    async with node_at(anvil.http_url) as node:
        newest, tags = await asyncio.gather(node.newest(), node.tags())
    assert tags.safe is not None
    assert tags.finalized is not None
    assert tags.finalized.number <= tags.safe.number < newest.number


async def test_one_endpoint_is_asked_for_what_another_does_not_have(anvil: Anvil) -> None:
    async with Anvil() as lagging, node_at(lagging.http_url, anvil.http_url) as node:
        await anvil.mine(3)
        block = BlockHash((await anvil.block())["hash"])
        head = await node.header(block)
        assert head is not None
        found = await node.read({head: [Holding(NATIVE, checksum(anvil.accounts[1]))]})
        assert found[block].values[Holding(NATIVE, checksum(anvil.accounts[1]))] == 10_000 * 10**18
