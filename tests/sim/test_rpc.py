"""What the simulated endpoints claim of nodes, checked on a real one as well."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from indexer.clients.evm import connect
from indexer.clients.evm.asking.answers import head_of
from indexer.clients.evm.asking.calls import Call, Reply
from indexer.clients.evm.asking.courier import Answer, HttpCourier
from indexer.clients.evm.asking.multiread import FACTS_BYTES, TAIL_BYTES, natives_found, packed_wallets, params
from indexer.clients.evm.asking.provenance import proven
from indexer.clients.evm.asking.transport import Transport
from indexer.clients.evm.asking.wording import Unsupported, kind_of
from indexer.demo.anvil import Anvil
from indexer.domain.chain import NATIVE, Address, Holding
from indexer.errors import BadAnswer, BlockUnknown, ResponseTooLarge, StateMissing, Throttled
from tests.sim.clock import play
from tests.sim.faults import NONE
from tests.sim.rpc import dialects
from tests.sim.rpc.encoded import Encoded
from tests.sim.rpc.endpoint import SimEndpoint
from tests.sim.rpc.fleet import Fleet
from tests.sim.rpc.machine import Machine
from tests.sim.rpc.methods import Manners, Methods
from tests.sim.world import OUTSIDE, TOKENS, WALLETS, WATCH, World

NOWHERE = {"blockHash": "0x" + "ab" * 32}


async def node_like(transport: Transport, wallets: tuple[Address, ...]) -> list[int]:
    """Whatever the client builds upon, asked in one batch; the balances of these wallets."""
    (newest,) = await transport.exchange([Call("eth_getBlockByNumber", ["latest", False])], 5)
    head: Any = newest.get()
    assert {"number", "hash", "parentHash", "timestamp"} <= head.keys()
    pinned, block = {"blockHash": head["hash"]}, head_of(head)
    replies = await transport.exchange(
        [
            Call("eth_getBlockByHash", [head["hash"], False]),
            Call("eth_getBlockByHash", [NOWHERE["blockHash"], False]),
            Call("eth_getBlockTransactionCountByHash", [head["hash"]]),
            Call("eth_getBlockTransactionCountByHash", [NOWHERE["blockHash"]]),
            Call("eth_getLogs", [pinned]),
            Call("eth_getLogs", [NOWHERE]),
            Call("eth_getBalance", [wallets[0], NOWHERE]),
            Call("eth_getNothing"),
            Call("eth_call", params(packed_wallets(wallets), b"", block)),
            *(Call("eth_getBalance", [wallet, pinned]) for wallet in wallets),
        ],
        5,
    )
    same, nothing, count, none, logs, no_logs, no_state, unheard, many, *singly = replies
    assert same.get()["hash"] == head["hash"]
    assert nothing.get() is None
    assert (count.get(), none.get()) == ("0x0", None)
    assert logs.get() == []
    assert [type(reply.error) for reply in (no_logs, no_state, unheard)] == [BlockUnknown, BlockUnknown, Unsupported]
    balances = [int(reply.get(), 16) for reply in singly]
    raw = _bytes(many)
    assert natives_found(raw[:-TAIL_BYTES]) == balances
    assert proven(block, raw[-TAIL_BYTES:][:FACTS_BYTES]) == {"number", "timestamp", "parent", "state"}
    return balances


@pytest.mark.node
async def test_a_real_node_is_as_the_simulated_one_claims(anvil: Anvil) -> None:
    transport = Transport(anvil.http_url, "anvil", HttpCourier(anvil.http_url))
    await anvil.rpc("anvil_setBalance", WALLETS[1], hex(77))
    await anvil.mine()
    try:
        assert await node_like(transport, WALLETS) == [0, 77, 0]
    finally:
        await transport.disconnect()


def test_the_simulated_node_is_as_it_claims() -> None:
    async def story() -> list[int]:
        world = World(Random(1))  # noqa: S311 - the same story every time
        world.put(Holding(NATIVE, WALLETS[1]), 77)
        fleet = Fleet(world, Random(1), lambda: NONE)  # noqa: S311 - the same story every time
        (url,) = fleet.rpc_urls
        return await node_like(Transport(url, "sim", fleet.courier(url)), WALLETS)

    assert play(story()) == [0, 77, 0]


def test_logs_of_two_branches_are_never_taken_for_those_of_one() -> None:
    async def story() -> None:
        world = World(Random(1))  # noqa: S311 - the same story every time
        world.pay(TOKENS[0], OUTSIDE, WALLETS[0], 5)
        fleet = Fleet(world, Random(1), lambda: NONE)  # noqa: S311 - the same story every time
        node, _ = fleet.client()
        (url,) = fleet.rpc_urls
        endpoint = fleet.courier(url)
        post, asked = endpoint.post, list[bytes]()

        async def reorganised_after_the_first(body: bytes, timeout_seconds: float) -> Answer:
            answer = await post(body, timeout_seconds)
            if b"eth_getLogs" in body and not asked:
                asked.append(body)
                world.canonical.pop()
                world.pay(TOKENS[0], OUTSIDE, WALLETS[1], 7)
                fleet.hear()
            return answer

        endpoint.post = reorganised_after_the_first  # type: ignore[method-assign] # between two filters
        with pytest.raises(BadAnswer, match="reorganised"):
            await node.moved(0, 1, WATCH)
        assert [each.transfer.amount for each in await node.moved(0, 1, WATCH)] == [7]
        await node.close()

    play(story())


def test_a_lagging_node_behind_an_address_that_takes_no_batches_leaves_nothing_out() -> None:
    async def story() -> None:
        world, random = World(Random(1)), Random(1)  # noqa: S311 - the same story every time
        lagging = Machine(world)
        for amount in (5, 7):
            world.pay(TOKENS[0], OUTSIDE, WALLETS[0], amount)
        manners, encoded = Manners(dialects.DIALECTS[0], batch_most=1), Encoded()
        endpoint = SimEndpoint([lagging, Machine(world)], manners, Methods(manners, encoded), random, lambda: NONE)
        node, _ = connect(chain="sim", rpc_urls=("http://one.sim/",), courier=lambda _url: endpoint)
        for _ in range(30):
            with pytest.raises(BlockUnknown):
                await node.moved(0, 2, WATCH)
        lagging.catch_up()
        assert [each.transfer.amount for each in await node.moved(0, 2, WATCH)] == [5, 7]
        await node.close()

    play(story())


def test_every_refusal_is_in_words_that_the_client_understands() -> None:
    """What it does not would be taken for an accident, and asked again, for ever."""
    unknown = [words for dialect in dialects.DIALECTS for words in (dialect.no_state_block, dialect.no_logs_block)]
    meant = {
        BlockUnknown: [words for words in unknown if words is not None],
        StateMissing: [dialect.pruned for dialect in dialects.DIALECTS],
        ResponseTooLarge: [*dialects.RANGE_TOO_LONG, *dialects.RESULT_TOO_LONG, *dialects.BATCH_TOO_LONG],
        Throttled: [*dialects.SLOW_DOWN],
        Unsupported: [dialects.NO_BATCHES, dialects.NO_OVERRIDES],
    }
    for kind, words in meant.items():
        for code, text in words:
            of_range = (code, text) in dialects.RANGE_TOO_LONG
            assert kind_of(code, text.format(most=100, asked=200), of_range=of_range) is kind, text


def _bytes(reply: Reply) -> bytes:
    return bytes.fromhex(reply.get()[2:])
