"""A token whose contract stops answering on a real chain: not claimed to hold, shown, and read once it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.addresses import checksum
from indexer.demo.contracts import deploy
from tests.e2e import truth
from tests.e2e.service import Json, running, until
from tests.e2e.world import world

pytestmark = [pytest.mark.e2e, pytest.mark.node]

REVERTS = "0x60006000fd"
NOBODY = checksum("0x" + "ab" * 20)


async def test_a_token_that_stops_answering_is_not_verified_until_it_answers_again(tmp_path: Path) -> None:
    async with world() as home:
        anvil, token = home.anvil, await deploy(home.anvil, "RebasingToken")
        await token.send("mint", home.cold, 1_000)
        await anvil.mine()
        table = home.table(home.token.address, token.address, NOBODY, sync_interval_seconds=1)
        async with running(home.config(tmp_path, chains={"first": table}, store={"url": "memory"})) as service:

            async def unreadable() -> dict[str, Json]:
                stream = await service.stream(anvil.chain_id)
                return {one["tokenAddress"]: one for one in stream["unreadableTokens"]}

            async def is_told(token: str, *, readable: bool) -> bool:
                return (token not in await unreadable()) == readable

            since_the_start = (await unreadable())[NOBODY]
            assert (since_the_start["balances"], "no bytes" in since_the_start["reason"]) == (3, True)
            held = await service.balance("first", token.address, home.cold)
            code = await anvil.rpc("eth_getCode", token.address, "latest")
            await anvil.rpc("anvil_setCode", token.address, REVERTS)
            await anvil.mine()
            await service.followed(anvil)
            await until(lambda: is_told(token.address, readable=False))
            stopped = await service.balance("first", token.address, home.cold)
            assert held["balance"] == stopped["balance"] == "1000"
            for _ in range(3):
                await anvil.mine()
            block = await service.followed(anvil)
            after = await service.balance("first", token.address, home.cold)
            assert after == stopped
            assert after["verifiedBlock"] < (await unreadable())[token.address]["block"] < block
            assert (await service.balance("first", home.token.address, home.cold))["verifiedBlock"] == block
            async with service.subscribed(snapshot=True) as subscriber:
                snapshot = (await subscriber.until(lambda frames: [f for f in frames if f["type"] == "snapshot"]))[0]
            (row,) = [
                item
                for item in snapshot["items"]
                if (item["tokenAddress"], item["solverAddress"]) == (token.address, home.cold)
            ]
            assert row["verifiedBlock"] == stopped["verifiedBlock"]
            assert await service.is_ready()
            assert await service.metric('indexer_unreadable_tokens{chain="first"}') == 2

            await anvil.rpc("anvil_setCode", token.address, code)
            await token.send("rebase", 2 * 10**18)
            await anvil.mine()
            block = await service.followed(anvil)
            await until(lambda: is_told(token.address, readable=True))

            async def is_doubled() -> bool:
                return bool((await service.balance("first", token.address, home.cold))["balance"] == "2000")

            await until(is_doubled)
            now = await service.balance("first", token.address, home.cold)
            assert now["verifiedBlock"] == block
            newest, *_ = await service.history("first", token.address, home.cold)
            assert (newest["cause"], newest["changeAmount"]) == ("sync", "1000")
            assert len(await service.says("token_unreadable", token=token.address)) == 1
            assert len(await service.says("token_readable", token=token.address)) == 1
            assert len(await service.says("token_unreadable", token=NOBODY)) == 1
            await truth.check_history(service, anvil, home.holdings())
