from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from indexer.app.site import is_local_only
from indexer.demo.traffic import NativeSent, PaidInside, TokenMoved
from indexer.demo.world import PLANS, DemoChain, DemoWorld

pytestmark = pytest.mark.node


async def test_two_chains_differ_in_id_pace_and_decimals() -> None:
    async with DemoWorld() as world:
        fast, slow = world.chains
        assert [await chain.anvil.rpc("eth_chainId") for chain in world.chains] == ["0x7a69", "0x7a6a"]
        assert fast.plan.block_seconds < slow.plan.block_seconds
        decimals = [int.from_bytes(await chain.token.call("decimals")) for chain in world.chains]
        assert decimals == [6, 18]
        for chain in world.chains:
            for solver in world.solvers.values():
                assert await chain.token.balance(solver) == chain.held[solver] > 0
        settings = world.settings()
        assert {chain.chain_id for chain in settings.chains.values()} == {31337, 31338}
        assert len(settings.solvers) == len(world.solvers) >= 3
        assert is_local_only(settings.service), "any web page could rebind its name to the demo"


async def test_each_kind_of_move_changes_what_it_says() -> None:
    async with DemoWorld(plans=PLANS[:1], desks=()) as world:
        (chain,) = world.chains
        solver, payer = next(iter(world.solvers.values())), chain.outside[0]
        moves = TokenMoved(payer, solver, 5), NativeSent(payer, solver, 7), PaidInside(payer, solver, 11)
        native = int(await chain.anvil.rpc("eth_getBalance", solver, "latest"), 16)
        for move in moves:
            await chain.make(move)
        await chain.anvil.mine()
        assert await chain.token.balance(solver) == chain.held[solver] + 5
        assert int(await chain.anvil.rpc("eth_getBalance", solver, "latest"), 16) == native + 7 + 11


async def test_blocks_and_traffic_come_by_themselves_until_stopped() -> None:
    async with DemoWorld(plans=PLANS[:1], desks=()) as world:
        (chain,) = world.chains
        first = int((await chain.anvil.block())["number"], 16)
        world.start_traffic()
        newest = await _mined_after(chain, first)
        assert int(newest["number"], 16) > first
        await world.stop_traffic()
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("traffic")]


async def test_nothing_is_left_when_the_second_chain_does_not_start() -> None:
    def say(line: str) -> None:
        if "slow" in line:
            running.append(_children())
            raise RuntimeError(line)

    running: list[set[str]] = []
    before = _children()
    with pytest.raises(RuntimeError, match="slow"):
        async with DemoWorld(say=say):
            pytest.fail("the second chain was started")
    assert len(running[0] - before) == 1
    assert _children() <= before


async def _mined_after(chain: DemoChain, number: int) -> dict[str, Any]:
    """The first block above `number` that holds a transaction."""
    for _ in range(1000):
        block = await chain.anvil.block()
        if int(block["number"], 16) > number and block["transactions"]:
            return block
        await asyncio.sleep(0.02)
    raise AssertionError("no traffic")


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


async def test_desks_trade_at_their_exchanges_and_nothing_moves_before() -> None:
    async with DemoWorld(plans=()) as world:
        assert world.desks is not None
        before = [world.desks.venue.oracle(account) for account in world.desks.accounts]
        assert [str(account) for account in world.desks.accounts] == ["binance/main", "okx/hedge"]
        assert set(world.settings().exchanges) == {"binance-main", "okx-hedge"}
        await asyncio.sleep(0)
        assert [world.desks.venue.oracle(account) for account in world.desks.accounts] == before
        world.start_traffic()
        for account, earlier in zip(world.desks.accounts, before, strict=True):
            async with asyncio.timeout(30):
                while world.desks.venue.oracle(account) == earlier:  # noqa: ASYNC110 - a test looks from outside
                    await asyncio.sleep(0.05)
