"""Reorgs: taken back in the open, then told anew, and no row of an orphaned block stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e import truth
from tests.e2e.listening import Subscriber
from tests.e2e.service import Running, running
from tests.e2e.world import World, world

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo, pytest.mark.asyncio(loop_scope="module")]


@dataclass(frozen=True)
class Stage:
    home: World
    service: Running
    subscriber: Subscriber

    async def pay(self, amount: int) -> int:
        """One block in which `cold` gets that much of the token."""
        await self.home.token.send("mint", self.home.cold, amount)
        await self.home.anvil.mine()
        return await self.service.followed(self.home.anvil)

    async def quiet(self, blocks: int) -> int:
        await self.home.anvil.mine(blocks)
        return await self.service.followed(self.home.anvil)

    async def settled(self) -> list[dict[str, object]]:
        """Every event so far, once the newest block is followed, by hash."""
        await self.service.followed(self.home.anvil)
        seq = (await self.service.stream(self.home.anvil.chain_id))["seq"]
        await self.subscriber.caught_up(self.home.stream, seq)
        return self.subscriber.events


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with world() as home:
        config = home.config(tmp_path_factory.mktemp("reorgs"))
        async with running(config) as service, service.subscribed() as subscriber:
            yield Stage(home, service, subscriber)


@pytest.mark.parametrize("depth", [1, 5])
async def test_a_reorg_is_taken_back_and_then_told_anew(stage: Stage, depth: int) -> None:
    home, token = stage.home, stage.home.token
    ancestor = await stage.quiet(2)
    held = await token.balance(home.cold)
    for amount in range(1, depth + 1):
        await stage.pay(amount)
    old = {number: (await home.anvil.block(number))["hash"] for number in range(ancestor + 1, ancestor + depth + 1)}
    told = len(await stage.settled())
    # The new branch has another payment in its second-newest block, or its only one.
    call = {"from": home.anvil.accounts[0], "to": token.address, "data": token.contract.data("mint", home.cold, 1000)}
    await home.anvil.reorg(depth, [(call, max(depth - 2, 0))])
    reverted = await stage.subscriber.until(
        lambda frames: next((f for f in frames if f.get("type") == "balance.reverted" and f["seq"] > told), None)
    )
    assert reverted["data"]["newBalance"] == str(held)
    assert reverted["data"]["previousBalance"] == str(held + sum(range(1, depth + 1)))
    assert reverted["data"]["blockNumber"] == ancestor
    assert reverted["data"]["blockHash"] == (await home.anvil.block(ancestor))["hash"]
    assert reverted["data"]["orphaned"] == [
        {
            "blockNumber": ancestor + offset,
            "blockHash": old[ancestor + offset],
            "balance": str(held + sum(range(1, offset + 1))),
        }
        for offset in range(depth, 0, -1)
    ]
    await stage.quiet(1)
    histories = await truth.check_history(stage.service, home.anvil, home.holdings())
    rows = histories[token.address, home.cold]
    assert not {row["blockHash"] for row in rows} & set(old.values())
    newest = rows[-1]
    assert int(newest["balance"]) == held + 1000
    truth.check_linked(await stage.service.events(home.stream))


async def test_a_reorg_of_blocks_without_ours_tells_nothing(stage: Stage) -> None:
    await stage.quiet(3)
    before = len(await stage.settled())
    await stage.home.anvil.reorg(2)
    await stage.quiet(1)
    assert len(await stage.settled()) == before
    await truth.check_history(stage.service, stage.home.anvil, stage.home.holdings())


async def test_the_same_payment_mined_again_is_told_at_its_new_block(stage: Stage) -> None:
    home, token = stage.home, stage.home.token
    number = await stage.pay(77)
    call = {"from": home.anvil.accounts[0], "to": token.address, "data": token.contract.data("mint", home.cold, 77)}
    await home.anvil.reorg(1, [(call, 0)])
    block = await home.anvil.block(number)
    event = await stage.subscriber.heard(blockHash=block["hash"], tokenAddress=token.address, changeAmount="77")
    assert event["data"]["blockNumber"] == number
    await truth.check_history(stage.service, home.anvil, home.holdings())


async def test_what_was_told_survives_a_restart_after_reorgs(stage: Stage) -> None:
    before = await stage.service.events(stage.home.stream)
    assert await stage.service.end() == 0
    await stage.home.anvil.reorg(3)
    await stage.service.start()
    await stage.quiet(1)
    events = await stage.service.events(stage.home.stream)
    assert events[: len(before)] == before
    truth.check_dense(events)
    truth.check_linked(events)
    await truth.check_history(stage.service, stage.home.anvil, stage.home.holdings())


async def test_a_reorg_of_the_block_at_which_we_began_is_taken_back_and_told_anew(tmp_path: Path) -> None:
    async with world() as home:
        await home.anvil.mine(5)
        async with running(home.config(tmp_path)) as service, service.subscribed() as subscriber:
            began = await service.followed(home.anvil)
            await home.anvil.reorg(3)
            await home.anvil.mine()
            await service.followed(home.anvil)
            await subscriber.until(lambda frames: any(frame.get("type") == "balance.reverted" for frame in frames))
            events = await service.events(home.stream)
            told = [event for event in events if event["type"] in ("balance.reverted", "stream.resync")]
            assert {event["data"].get("blockNumber") for event in told} == {began - 3}
            truth.check_linked(events)
            await truth.check_history(service, home.anvil, home.holdings())
