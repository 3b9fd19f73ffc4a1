"""A chain whose blocks are, so they say, of a year that no date can express: it is stale and says why; others go on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from indexer.demo.anvil import Anvil
from tests.e2e import truth
from tests.e2e.service import chain_table, running
from tests.e2e.world import world

pytestmark = [pytest.mark.e2e, pytest.mark.node]

STALE_SECONDS = 20


async def test_a_chain_that_tells_milliseconds_is_stale_for_that_reason_and_others_go_on(tmp_path: Path) -> None:
    async with world() as home, Anvil(chain_id=31338) as odd:
        chains = {"good": home.table(), "odd": chain_table(odd)}
        async with running(home.config(tmp_path, chains=chains)) as service:
            async with service.subscribed() as subscriber:
                last = await service.followed(odd)
                await odd.rpc("evm_setNextBlockTimestamp", int(time.time()) * 1000)
                await odd.send(home.cold, value=5)
                await odd.mine()
                stale = await subscriber.until(
                    lambda frames: next((frame for frame in frames if frame["type"] == "stream.stale"), None),
                    STALE_SECONDS,
                )
                assert stale["stream"] == "chain:31338"
                assert "timestamps are seconds" in stale["data"]["reason"]
                await home.anvil.send(home.cold, value=7)
                await home.anvil.mine()
                block = await service.followed(home.anvil)
                await subscriber.heard(chainId=31337, block=block, solverAddress=home.cold)
            assert not service.said("actor_died")
            assert await service.end() == 0
            await service.start(ready=False)
            await service.ready("good")
            held = await service.balance("good", "native", home.cold)
            assert int(held["balance"]) == await truth.balance(home.anvil, "native", home.cold)
            assert (await service.balance("odd", "native", home.cold))["verifiedBlock"] == last
            assert not await service.is_ready("odd")
            assert not service.said("actor_died")
