"""Who is ahead of whom, and what that proves; endpoints are played over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

from structlog.testing import capture_logs

from indexer.clients.evm.judging.census import Finding
from indexer.clients.evm.judging.rhythm import Expected
from indexer.clients.evm.node import EvmNode
from indexer.domain.balances import Watch
from indexer.domain.chain import Head
from tests.clients.evm.builders import eventually
from tests.clients.evm.judging.test_quarantine import Teller, state, telling
from tests.clients.evm.wires import Time


async def survey(node: EvmNode, known: Head, *, is_still: bool = False) -> Finding:
    return await node.highest(known, Expected(3.0, late_seconds=2.0, still_seconds=4.0), is_still=is_still)


async def test_the_highest_that_goes_on_from_what_is_known_is_the_newest() -> None:
    first, second = Teller(1_000), Teller(1_002)
    async with telling(first, second) as node:
        finding = await survey(node, first.head(1_000))
        assert finding == Finding(second.head(1_002))
        assert await survey(node, first.head(1_000), is_still=True) == Finding(second.head(1_002), is_split=True)
    assert state(node, 0) == (True, False)


async def test_where_all_agree_a_survey_is_one_request_to_each() -> None:
    first, second = Teller(1_000), Teller(1_000)
    async with telling(first, second) as node:
        assert await survey(node, first.head(1_000)) == Finding(first.head(1_000))
        assert [len(teller.requests) for teller in (first, second)] == [1, 1]


async def test_a_single_endpoint_is_simply_asked() -> None:
    only = Teller(1_000)
    async with telling(only) as node:
        assert not node.has_others
        assert await survey(node, only.head(900), is_still=True) == Finding(only.head(1_000))
        assert len(only.requests) == 1


async def test_one_that_stays_far_behind_is_set_aside_until_it_has_caught_up() -> None:
    first, second = Teller(1_000), Teller(1_003)
    clock = Time()
    async with telling(first, second, clock=clock.clock) as node:
        with capture_logs() as lines:
            assert (await survey(node, first.head(1_000))).is_split
            assert state(node, 0) == (True, False)
            clock.now += 1.5
            assert await survey(node, second.head(1_003)) == Finding(second.head(1_003))
            assert state(node, 0) == (True, True)
            assert (await node.newest()).number == 1_003
            await node.look([second.head(1_003)], Watch())
            clock.now += 10
            asked = len(first.requests)
            await eventually(lambda: len(first.requests) > asked + 1)
            assert state(node, 0) == (True, True)
            first.height = 1_003
            await eventually(lambda: state(node, 0) == (True, False))
    assert [line["event"] for line in lines] == ["endpoint_set_aside", "endpoint_back"]
    assert lines[0]["reason"] == "its newest block is 1000, another endpoint has 1003"


async def test_one_that_stands_still_is_set_aside_though_it_is_one_block_behind() -> None:
    first, second = Teller(1_000), Teller(1_000)
    clock = Time()
    async with telling(first, second, clock=clock.clock) as node:
        assert (await node.newest()).number == 1_000
        second.height = 1_001
        clock.now += 2.5  # late by now, and still well: the block may be on its way to it
        assert await survey(node, first.head(1_000)) == Finding(second.head(1_001), is_split=True)
        clock.now += 1.4
        assert await survey(node, second.head(1_001)) == Finding(second.head(1_001), is_split=True)
        assert state(node, 0) == (True, False)
        clock.now += 0.2
        with capture_logs() as lines:
            assert await survey(node, second.head(1_001)) == Finding(second.head(1_001))
            assert state(node, 0) == (True, True)
            await node.look([second.head(1_001)], Watch())
            clock.now += 10
            asked = len(first.requests)
            await eventually(lambda: len(first.requests) > asked + 1)
            assert state(node, 0) == (True, True)  # it is one block behind still, as it was then
            first.height = 1_001
            await eventually(lambda: state(node, 0) == (True, False))
    assert [line["event"] for line in lines] == ["endpoint_set_aside", "endpoint_back"]


async def test_one_that_has_the_block_a_moment_later_stays_preferred() -> None:
    first, second = Teller(1_000), Teller(1_000)
    clock = Time()
    async with telling(first, second, clock=clock.clock) as node:
        for number in range(1_000, 1_010):
            first.height = second.height = number
            assert (await node.newest()).number == number
            clock.now += 10
            second.height = number + 1
            assert (await survey(node, first.head(number))).is_split
            clock.now += 0.5
            first.height = number + 1
            assert not (await survey(node, first.head(number + 1))).is_split
        assert state(node, 0) == (True, False)


async def test_one_that_caught_up_between_two_surveys_is_left_in_peace() -> None:
    first, second = Teller(1_000), Teller(1_003)
    clock = Time()
    async with telling(first, second, clock=clock.clock) as node:
        for height, top in ((1_000, 1_003), (1_003, 1_003), (1_003, 1_006)):
            first.height, second.height = height, top
            await survey(node, second.head(1_000))
            clock.now += 1.5
        assert state(node, 0) == (True, False)


async def test_a_higher_head_of_another_branch_counts_only_when_ours_stands_still_far_below() -> None:
    first, second = Teller(1_000), Teller(1_002, fork=998)
    clock = Time()
    async with telling(first, second, clock=clock.clock) as node:
        ours = first.head(1_000)
        second.height = 1_050
        assert await survey(node, ours) == Finding(ours)
        second.height = 1_002
        assert await survey(node, ours, is_still=True) == Finding(ours, is_split=True)
        second.height = 1_003
        assert await survey(node, ours, is_still=True) == Finding(second.head(1_003), is_split=True)
        clock.now += 1.5
        await survey(node, ours, is_still=True)
        assert state(node, 0) == (True, True)


async def test_a_head_that_whoever_tells_it_cannot_lead_up_to_is_not_believed() -> None:
    honest, liar = Teller(1_000), Teller(1_000)
    told = liar.methods["eth_getBlockByNumber"]

    def answer(number: str, full: bool) -> Any:
        return {**told(hex(1_000), full), "number": hex(1_000_000)} if number == "latest" else told(number, full)

    liar.methods["eth_getBlockByNumber"] = answer
    async with telling(honest, liar) as node:
        for is_still in (False, True):
            assert (await survey(node, honest.head(1_000), is_still=is_still)).head == honest.head(1_000)
        assert state(node, 0) == (True, False)


async def test_one_that_hangs_holds_up_nobody_who_knows_more() -> None:
    first, second = Teller(1_000), Teller(1_001)
    first.respond = lambda _payload: asyncio.Event().wait()  # type: ignore[assignment] # never ends
    async with telling(first, second) as node:
        async with asyncio.timeout(1):
            assert (await survey(node, second.head(1_000))).head == second.head(1_001)
        asked = len(first.requests)
        assert (await node.newest()).number == 1_001
        assert len(first.requests) == asked


async def test_one_that_refuses_is_lost_and_one_that_syncs_is_set_aside() -> None:
    first, second, third = Teller(1_000), Teller(1_000), Teller(1_001)
    async with telling(first, second, third) as node:
        await node.look([first.head(1_000)], Watch())
        await first.stop()
        second.height = 5
        assert (await survey(node, third.head(1_000))).head == third.head(1_001)
        assert (state(node, 0)[0], state(node, 1)) == (False, (True, True))


async def test_one_that_contradicts_itself_is_asked_again_after_a_while_where_another_is_well() -> None:
    first, second = Teller(1_000), Teller(1_000)
    clock = Time()
    async with telling(first, second, clock=clock.clock) as node:
        await node.newest()
        with capture_logs() as lines:
            node.distrust("contradicts itself")
            assert state(node, 0) == (True, True)
            await asyncio.sleep(0.6)
            await node.newest()
            assert node.endpoint.endswith(str(second.port))
            clock.now += 10
            await eventually(lambda: state(node, 0) == (True, False))
    assert [line["event"] for line in lines] == ["endpoint_set_aside", "endpoint_back"]


async def test_a_single_endpoint_that_contradicts_itself_is_still_asked() -> None:
    only = Teller(1_000)
    async with telling(only) as node:
        await node.newest()
        node.distrust("contradicts itself")
        assert state(node, 0) == (True, False)
