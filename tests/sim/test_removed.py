"""A chain that a reload takes out: busy with a node that does not answer, or named again later."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from indexer.clients.evm import EvmNode, HeadFeed
from indexer.config import ChainSettings, load
from indexer.domain.balances import BalanceUpdated
from tests.sim.clock import play
from tests.sim.draft import OTHER_CHAIN_ID, drafted
from tests.sim.faults import NONE
from tests.sim.rpc.fleet import Fleet
from tests.sim.service import STREAM, Life
from tests.sim.store import Disk
from tests.sim.world import CHAIN_ID, World


def test_nobody_waits_any_more_for_a_chain_that_was_busy_when_it_was_taken_out(tmp_path: Path) -> None:
    """History asks for a moment in which no chain is busy, and goes on after two seconds without one."""

    async def story() -> None:
        chance = Random(7)  # noqa: S311 - the same story every time
        fleet = Fleet(World(chance), chance, lambda: NONE)

        def connected(chain: ChainSettings) -> tuple[EvmNode, HeadFeed]:
            if chain.chain_id == CHAIN_ID:
                return fleet.client()
            return fleet.stranger(OTHER_CHAIN_ID, chain.rpc_urls)

        path = tmp_path / "chains.toml"
        draft = replace(drafted(fleet, 16, None, 1), has_other=True)
        path.write_text(draft.text())
        life = Life(Disk(chance, lambda: NONE), connected, load(path, {}))
        await life.start()
        await asyncio.sleep(1)
        path.write_text(replace(draft, has_other=False).text())
        await life.control.reload()
        assert life.watching.chains() == {"sim": CHAIN_ID}
        await asyncio.sleep(5)
        began = asyncio.get_running_loop().time()
        await life.chains._quiet.moment()
        assert asyncio.get_running_loop().time() - began < 0.5
        await life.stop()

    play(story())


@pytest.mark.parametrize("comes_by_reload", [True, False])
@pytest.mark.parametrize("goes_by_reload", [True, False])
def test_one_that_is_named_again_tells_each_balance_though_it_holds_what_it_held(
    tmp_path: Path, goes_by_reload: bool, comes_by_reload: bool
) -> None:
    """Whoever took a snapshot meanwhile has none of them."""

    async def story() -> None:
        chance = Random(7)  # noqa: S311 - the same story every time
        world = World(chance)
        fleet = Fleet(world, chance, lambda: NONE)

        def connected(chain: ChainSettings) -> tuple[EvmNode, HeadFeed]:
            if chain.chain_id == CHAIN_ID:
                return fleet.client()
            return fleet.stranger(OTHER_CHAIN_ID, chain.rpc_urls)

        path, disk = tmp_path / "chains.toml", Disk(chance, lambda: NONE)
        draft = replace(drafted(fleet, 16, None, 1), has_other=True)

        async def begun() -> Life:
            life = Life(disk, connected, load(path, {}))
            await life.start()
            await asyncio.sleep(1)
            return life

        async def edited(life: Life, *, is_followed: bool, by_reload: bool) -> Life:
            path.write_text(replace(draft, is_followed=is_followed).text())
            if by_reload:
                await life.control.reload()
                return life
            await life.stop()
            return await begun()

        path.write_text(draft.text())
        life = await begun()
        watched = life.watching.watch(CHAIN_ID).holdings()
        before = len(disk.kept.commits)
        life = await edited(life, is_followed=False, by_reload=goes_by_reload)
        assert life.watching.chains() == {"other": OTHER_CHAIN_ID}
        world.mine(busy=0)
        life = await edited(life, is_followed=True, by_reload=comes_by_reload)
        await asyncio.sleep(5)
        later = [commit for commit in disk.kept.commits[before:] if commit.stream == STREAM]
        told = [fact.holding for commit in later for fact in commit.facts if isinstance(fact, BalanceUpdated)]
        assert sorted(told) == sorted(watched)
        await life.stop()

    play(story())
