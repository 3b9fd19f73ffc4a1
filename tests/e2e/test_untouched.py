"""A node that was started a moment ago: everybody's first contact with the service."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.addresses import checksum
from indexer.demo.anvil import Anvil
from tests.e2e.service import Config, chain_table, running

pytestmark = [pytest.mark.e2e, pytest.mark.node]


async def test_a_chain_without_a_block_but_its_first_is_followed_at_once(tmp_path: Path) -> None:
    async with Anvil() as anvil:
        owner = checksum(anvil.accounts[0])
        solvers = {"owner": {"address": owner}}
        config = Config(tmp_path, {"first": chain_table(anvil)}, solvers, store={"url": "memory"})
        async with running(config) as service:
            held = await service.balance("first", "native", owner)
            assert (held["blockNumber"], held["balance"]) == (0, str(10_000 * 10**18))
            await anvil.mine()
            assert await service.followed(anvil) == 1
            assert (await service.balance("first", "native", owner))["verifiedBlock"] == 1
