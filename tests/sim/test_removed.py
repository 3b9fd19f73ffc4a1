"""A chain that a reload takes out, while it is busy with a node that does not answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random

from indexer.clients.evm import EvmNode, HeadFeed
from indexer.config import ChainSettings, load
from tests.sim.clock import play
from tests.sim.draft import OTHER_CHAIN_ID, drafted
from tests.sim.faults import NONE
from tests.sim.rpc.fleet import Fleet
from tests.sim.service import Life
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
