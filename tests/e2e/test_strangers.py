"""Endpoints that disagree about which chain this is, when nothing of it is stored yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from indexer.demo.anvil import Anvil
from tests.e2e import truth
from tests.e2e.service import Running, running
from tests.e2e.world import World, world
from tests.fixtures.moody import Moody

pytestmark = [pytest.mark.e2e, pytest.mark.node]


@dataclass(frozen=True)
class Stage:
    service: Running
    home: World
    foreign: Anvil

    async def troubles(self) -> dict[str, str]:
        stream = await self.service.stream(self.home.anvil.chain_id)
        return {one["endpoint"]: one["reason"] for one in stream["troubledEndpoints"]}


@asynccontextmanager
async def foreign_first(folder: Path, *, ours: int) -> AsyncIterator[Stage]:
    """On a fresh store: one of another chain with our id, then so many of ours."""
    async with (
        world() as home,
        Anvil(chain_id=home.anvil.chain_id, args=("--timestamp", "1700000000")) as foreign,
        Moody(home.anvil.http_url, home.anvil.ws_url) as another,
    ):
        await foreign.mine(100)
        urls = [foreign.http_url, home.anvil.http_url, another.http_url][: 1 + ours]
        chains = {"first": home.table(rpc_urls=urls, ws_urls=[])}
        async with running(home.config(folder, chains=chains, store={"url": "memory"})) as service:
            yield Stage(service, home, foreign)


async def test_where_most_endpoints_are_of_one_chain_that_one_is_followed(tmp_path: Path) -> None:
    async with foreign_first(tmp_path, ours=2) as stage:
        await stage.home.stir(Random(3))  # noqa: S311 - a script, not a secret
        await stage.service.followed(stage.home.anvil)
        (disputed,) = await stage.service.says("genesis_disputed")
        assert (disputed["level"], disputed["by"]) == ("error", "majority")
        assert list(disputed["others"]) == [f"127.0.0.1:{stage.foreign.port}"]
        ((name, reason),) = (await stage.troubles()).items()
        assert name == f"127.0.0.1:{stage.foreign.port}"
        assert "genesis" in reason
        await truth.check_history(stage.service, stage.home.anvil, stage.home.holdings())


async def test_of_two_that_disagree_the_preferred_is_followed_and_the_other_one_shown(tmp_path: Path) -> None:
    async with foreign_first(tmp_path, ours=1) as stage:
        await stage.foreign.mine()
        await stage.service.followed(stage.foreign)
        (disputed,) = await stage.service.says("genesis_disputed")
        assert (disputed["level"], disputed["by"]) == ("error", "preference")
        assert list(await stage.troubles()) == [f"127.0.0.1:{stage.home.anvil.port}"]
