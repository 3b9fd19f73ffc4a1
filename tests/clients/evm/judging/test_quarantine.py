"""Nodes that lag, sync, or sit on a fork, told by servers of which we know the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from indexer.clients.evm.node import EvmNode
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Address, BlockHash, Head, Holding
from indexer.errors import BadAnswer, BlockUnknown, StateMissing
from tests.clients.evm.builders import eventually, node_at
from tests.clients.evm.wires import DOWN, QUESTION, Time, Wire, pool
from tests.fixtures.fakenode import FakeNode, header


def name_of(number: int, branch: str = "0") -> BlockHash:
    return BlockHash(f"0x{branch:0>8}{number:056x}")


class Teller(FakeNode):
    """A chain of empty blocks up to `height`, above `fork` on a branch of its own."""

    def __init__(self, height: int, *, fork: int = 10**9, branch: str = "f") -> None:
        super().__init__(chain_id=1)
        self.height, self.fork, self.branch = height, fork, branch
        self.methods |= {
            "eth_blockNumber": lambda: hex(self.height),
            "eth_getBlockByNumber": self._by_number,
            "eth_getBlockByHash": self._by_hash,
            "eth_getBlockTransactionCountByHash": lambda block: "0x0" if self._by_hash(block, False) else None,
        }

    def head(self, number: int) -> Head:
        return Head(number, self._name(number), self._name(number - 1), 1)

    def _name(self, number: int) -> BlockHash:
        return name_of(number, self.branch if number > self.fork else "0")

    def _by_number(self, number: str, _full: bool) -> Any:
        found = self.height if number == "latest" else int(number, 16)
        return header(found, self._name(found), self._name(found - 1)) if found <= self.height else None

    def _by_hash(self, block: str, _full: bool) -> Any:
        number = int(block[10:], 16)
        return self._by_number(hex(number), False) if self._name(number) == block else None


@asynccontextmanager
async def telling(*tellers: Teller, **more: Any) -> AsyncIterator[EvmNode]:
    async with AsyncExitStack() as stack:
        for teller in tellers:
            await stack.enter_async_context(teller)
        yield await stack.enter_async_context(node_at(*(teller.url for teller in tellers), chain_id=1, **more))


def state(node: EvmNode, index: int) -> tuple[bool, bool]:
    endpoint = node._endpoints._endpoints[index]
    return endpoint.is_well, endpoint.is_aside


async def test_a_head_far_below_what_was_followed_is_not_believed_while_another_endpoint_knows_better() -> None:
    first, second = Teller(1_000), Teller(1_000)
    async with telling(first, second) as node:
        await node.look([first.head(1_000)], Watch())
        first.height = 5
        with capture_logs() as lines:
            assert (await node.newest()).number == 1_000
            assert state(node, 0) == (True, True)
            assert (await node.newest()).number == 1_000
            asked = len(first.requests)
            await eventually(lambda: len(first.requests) > asked + 1)
            assert state(node, 0) == (True, True)
            first.height = 1_001
            await eventually(lambda: state(node, 0) == (True, False))
        assert (await node.newest()).number == 1_001
    assert [line["event"] for line in lines] == ["endpoint_set_aside", "endpoint_back"]
    assert "its newest block is 5, we followed 1000" in lines[0]["reason"]


async def test_a_block_that_was_read_is_one_that_was_followed() -> None:
    """After a resync, say: until the next head nothing else says how far the chain has come."""
    first, second = Teller(1_000), Teller(1_000)
    held = Holding(NATIVE, Address("0x" + "11" * 20))
    for teller in (first, second):
        teller.methods["eth_getBalance"] = lambda *_: "0x7"
    async with telling(first, second) as node:
        found = await node.read({first.head(1_000): [held]})
        assert found[first.head(1_000).hash].values == {held: 7}
        first.height = 5
        assert (await node.newest()).number == 1_000
        assert state(node, 0) == (True, True)


async def test_a_head_far_below_is_believed_when_all_say_so() -> None:
    first, second = Teller(1_000), Teller(1_000)
    async with telling(first, second) as node:
        await node.look([first.head(1_000)], Watch())
        first.height, second.height = 5, 7
        assert (await node.newest()).number == 7
        assert (await node.newest()).number in (5, 7)


async def test_a_single_endpoint_is_always_asked() -> None:
    only = Teller(1_000)
    async with telling(only) as node:
        await node.look([only.head(1_000)], Watch())
        only.height = 5
        assert (await node.newest()).number == 5
        assert (await node.headers(3, 5))[-1].number == 5


async def test_one_that_came_back_and_still_syncs_is_asked_last() -> None:
    first, second = Teller(1_000), Teller(1_000)
    async with telling(first, second) as node:
        await node.look([first.head(1_000)], Watch())
        await first.stop()
        assert (await node.newest()).number == 1_000
        first.height = 900
        await first.start()
        await eventually(lambda: state(node, 0) == (True, True))
        assert (await node.newest()).number == 1_000
        await second.stop()
        assert (await node.headers(890, 900))[-1].number == 900


async def test_one_that_lags_is_set_aside_after_three_blocks_that_others_know() -> None:
    first, second = Teller(998), Teller(1_000)
    async with telling(first, second) as node:
        for count in range(3):
            assert not state(node, 0)[1], count
            await node.look([second.head(1_000)], Watch())
        assert state(node, 0) == (True, True)
        asked = len(first.requests)
        await node.look([second.head(1_000)], Watch())
        later = [call["method"] for request in first.requests[asked:] for call in request]
        assert "eth_getBlockTransactionCountByHash" not in later


async def test_headers_that_are_no_chain_are_asked_of_somebody_else() -> None:
    torn, whole = Teller(1_000), Teller(1_000)
    honest = torn.methods["eth_getBlockByNumber"]

    def answer(number: str, full: bool) -> Any:
        torn.fork = 997 if number == hex(998) else 10**9
        return honest(number, full)

    torn.methods["eth_getBlockByNumber"] = answer
    async with telling(torn, whole) as node:
        heads = await node.headers(990, 1_000)
    assert [head.hash for head in heads] == [name_of(number) for number in range(990, 1_001)]


async def test_nobody_disputes_with_a_single_endpoint() -> None:
    only = Teller(1_000)
    async with telling(only) as node:
        assert not await node.is_disputed(Head(1_000, name_of(1_000, "e"), name_of(999), 1))
        assert only.requests == []


async def test_a_block_that_another_endpoint_still_has_is_disputed_until_that_one_follows() -> None:
    first, second = Teller(1_001, fork=998), Teller(1_000)
    async with telling(first, second) as node:
        ours = second.head(1_000)
        assert await node.is_disputed(ours)
        assert state(node, 0) == (True, False)
        second.fork, second.height = 998, 1_001
        assert not await node.is_disputed(ours)


async def test_one_that_insists_on_a_branch_of_its_own_is_set_aside() -> None:
    first, second, third = Teller(1_001, fork=998), Teller(1_000), Teller(1_000)
    clock = Time()
    async with telling(first, second, third, clock=clock.clock) as node:
        ours = second.head(1_000)
        assert await node.is_disputed(ours)
        clock.now += 2.5
        assert await node.is_disputed(ours)
        assert state(node, 0) == (True, True)
        assert (await node.newest()).hash == second.head(1_000).hash
        assert not await node.is_disputed(ours)


async def test_one_that_is_left_behind_on_the_old_branch_disputes_nothing() -> None:
    first, second = Teller(1_010, fork=998), Teller(1_000)
    async with telling(first, second) as node:
        assert not await node.is_disputed(second.head(1_000))


async def test_an_endpoint_that_knows_less_often_than_it_should_is_forgiven_in_time() -> None:
    first, second = Wire(1, [BlockUnknown("lags"), None, BlockUnknown("lags"), None]), Wire(2)
    endpoints = pool(Time(), first, second)
    assert [await endpoints.ask(lambda _: QUESTION) for _ in range(6)] == [2, 1, 2, 1, 1, 1]
    assert endpoints._endpoints[0].strikes == 0
    await endpoints.close()


async def test_what_one_that_was_set_aside_does_not_know_is_not_waited_for() -> None:
    """It may never have it, where another one had it once and has pruned it."""
    pruned, lagging = Wire(1, [StateMissing("pruned")]), Wire(2, [BlockUnknown("lags")], head=900)
    endpoints = pool(Time(), pruned, lagging)
    endpoints.health.followed = 1_000
    with pytest.raises(BlockUnknown):
        await endpoints.ask(lambda _: QUESTION)
    endpoints.health.set_aside(endpoints._endpoints[1], BlockUnknown("stands still"))
    with pytest.raises(StateMissing):
        await endpoints.ask(lambda _: QUESTION)
    await endpoints.close()


async def test_one_that_is_set_aside_soon_after_it_was_back_is_told_when_it_stays_so() -> None:
    time, first = Time(), Wire(1, [DOWN, None])
    endpoints = pool(time, first, Wire(2))
    endpoints.health.followed = 1_000
    with capture_logs() as lines:
        await endpoints.ask(lambda _: QUESTION)
        await eventually(lambda: endpoints._endpoints[0].is_well)
        first.head = 900
        endpoints.health.set_aside(endpoints._endpoints[0], BlockUnknown("stands still"))
        assert [line["event"] for line in lines] == ["endpoint_lost", "endpoint_back"]
        await eventually(lambda: len(lines) > 2)
        first.head = 1_000
        await eventually(lambda: len(lines) > 3)
    assert [line["event"] for line in lines[2:]] == ["endpoint_set_aside", "endpoint_back"]
    await endpoints.close()


SOMEBODY = Watch(frozenset([Address("0x" + "a0" * 20)]), frozenset([Address("0x" + "51" * 20)]))


async def test_history_is_asked_of_who_has_the_block_that_it_is_walked_back_from() -> None:
    """The preferred endpoint stands still on a fork that is settled for everybody else."""
    frozen, second = Teller(40, fork=35), Teller(60)
    asked: list[tuple[str, int]] = []

    def logs_of(name: str) -> Any:
        def logs(wanted: Any) -> list[Any]:
            asked.append((name, int(wanted.get("toBlock", wanted.get("blockHash", "0x0"))[-8:], 16)))
            return []

        return logs

    for name, teller in (("frozen", frozen), ("second", second)):
        teller.methods["eth_getLogs"] = logs_of(name)
    async with telling(frozen, second) as node:
        beside = second.head(55).ref
        assert (await node.headers(36, 40))[0].hash == frozen.head(36).hash
        assert (await node.headers(36, 40, beside))[0].hash == second.head(36).hash
        await node.moved(36, 40, SOMEBODY, beside)
        assert asked[-1] == ("second", 40)


async def test_who_is_on_a_fork_as_high_as_ours_tells_no_history() -> None:
    fork, second = Teller(60, fork=35), Teller(60)
    async with telling(fork, second) as node:
        assert (await node.headers(20, 40, second.head(55).ref))[20].hash == second.head(40).hash
    async with telling(fork) as node:
        with pytest.raises(BadAnswer, match="another block 55"):
            await node.headers(20, 40, second.head(55).ref)
