"""Native balances that are read every few blocks only, and full re-reads that find what no log told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from indexer.demo.contracts import Deployed, deploy
from tests.e2e import truth
from tests.e2e.service import Config, Running, running, until
from tests.e2e.world import World, world

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo, pytest.mark.asyncio(loop_scope="module")]

EVERY = 5
WINDOW = 3
"""Less than the interval: the blocks that are searched are not remembered any more."""


@dataclass(frozen=True)
class Stage:
    home: World
    drifting: World
    rebasing: Deployed
    silent: Deployed
    service: Running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        home, drifting = await stack.enter_async_context(world()), await stack.enter_async_context(world(2))
        rebasing = await deploy(drifting.anvil, "RebasingToken")
        await rebasing.send("mint", drifting.acme, 1000)
        await drifting.anvil.mine()
        silent = await deploy(home.anvil, "SilentToken")
        await home.anvil.mine()
        tables = {
            "slow": home.table(
                home.token.address, silent.address, native_interval_blocks=EVERY, reorg_window_blocks=WINDOW
            ),
            "drifting": drifting.table(rebasing.address, sync_interval_seconds=1),
        }
        config = Config(tmp_path_factory.mktemp("intervals"), tables, home.solvers)
        service = await stack.enter_async_context(running(config))
        yield Stage(home, drifting, rebasing, silent, service)


async def test_native_changes_between_two_reads_are_recorded_at_their_own_blocks(stage: Stage) -> None:
    home, service = stage.home, stage.service
    paid = []
    for number in range(4 * EVERY):
        if number % 3 == 0:
            await home.anvil.send(home.cold, value=number + 1)
            paid.append(int((await home.anvil.block())["number"], 16) + 1)
        if number % 7 == 0:
            await home.payer.send("pay", home.bolt, 5, value=5)
        await home.anvil.mine()
        await service.followed(home.anvil)
    await _read_again(stage)
    histories = await truth.check_history(service, home.anvil, home.holdings())
    rows = histories["native", home.cold]
    assert [row["blockNumber"] for row in rows[1:]] == paid
    assert {row["cause"] for row in rows[1:]} == {"native"}
    truth.check_dense(await service.events(home.stream))


async def test_a_native_balance_is_never_said_to_hold_where_it_was_not_read(stage: Stage) -> None:
    home, service = stage.home, stage.service
    await _read_again(stage)
    for sent in range(3 * EVERY):
        if sent % EVERY == 1:
            await home.anvil.send(home.cold, value=sent + 1)
        await home.anvil.mine()
        await service.followed(home.anvil)
        newest = int((await home.anvil.block())["number"], 16)
        for asked in ({}, {"block": newest}):
            row = await service.balance(home.anvil.chain_id, "native", home.cold, **asked)
            truly = await home.anvil.rpc("eth_getBalance", home.cold, hex(row["verifiedBlock"]))
            assert int(row["balance"]) == int(truly, 16), f"not so at block {row['verifiedBlock']}"


async def test_tokens_are_still_told_at_once(stage: Stage) -> None:
    home = stage.home
    async with stage.service.subscribed() as subscriber:
        await home.token.send("mint", home.cold, 1)
        await home.anvil.mine()
        number = int((await home.anvil.block())["number"], 16)
        await subscriber.heard(block=number, tokenAddress=home.token.address)


async def test_blocks_missed_while_down_are_searched_as_well(stage: Stage) -> None:
    home, service = stage.home, stage.service
    await _read_again(stage)
    assert await service.end() == 0
    for number in range(13):
        if number % 4 == 1:
            await home.anvil.send(home.cold, value=1)
        await home.anvil.mine()
    await service.start()
    await _read_again(stage)
    await truth.check_history(service, home.anvil, home.holdings())


async def test_a_reorg_between_two_reads_leaves_no_wrong_row(stage: Stage) -> None:
    home, service = stage.home, stage.service
    await _read_again(stage)
    for _ in range(3):
        await home.anvil.send(home.cold, value=1)
        await home.anvil.mine()
        await service.followed(home.anvil)
    await home.anvil.reorg(2)
    await _read_again(stage)
    await truth.check_history(service, home.anvil, home.holdings())
    truth.check_linked(await service.events(home.stream))


async def test_a_token_that_changes_without_a_log_is_found_by_the_next_sync(stage: Stage) -> None:
    home = stage.drifting
    await stage.rebasing.send("rebase", 2 * 10**18)
    await home.anvil.mine()
    await stage.service.followed(home.anvil)

    async def doubled() -> bool:
        found = await stage.service.balance("drifting", stage.rebasing.address, home.acme)
        return bool(found["balance"] == "2000")

    await until(doubled)
    row = (await stage.service.history("drifting", stage.rebasing.address, home.acme))[0]
    assert (row["cause"], row["changeAmount"], row["transactionHash"]) == ("sync", "1000", None)


async def test_a_token_is_not_said_to_hold_where_it_may_have_moved_without_a_log(stage: Stage) -> None:
    home, service, token = stage.home, stage.service, stage.silent
    for name, amount, blocks in (("mint", 1000, 4), ("mintSilently", 111, 4), ("mint", 5, 1), ("mint", 7, 2)):
        await token.send(name, home.cold, amount)
        await home.anvil.mine(blocks)
        await service.followed(home.anvil)
    rows = await service.history("slow", token.address, home.cold)
    assert [int(row["balance"]) for row in rows[:3]] == [1123, 1116, 1000]
    for row in rows:
        for asked in (row, await service.balance("slow", token.address, home.cold, block=row["blockNumber"] + 1)):
            there = await truth.balance(home.anvil, token.address, home.cold, asked["verifiedBlock"])
            assert int(asked["balance"]) == there, f"not so at block {asked['verifiedBlock']}"
    assert rows[1]["verifiedBlock"] == rows[0]["blockNumber"] - 1, "where logs explain it all"


async def _read_again(stage: Stage) -> None:
    """Mine until native balances were read at the newest block: a payment at the end is seen when it is its turn."""
    await stage.home.anvil.mine(EVERY)
    await stage.service.followed(stage.home.anvil)
    for wallet in (stage.home.acme, stage.home.bolt, stage.home.cold):
        assert (await stage.service.post(f"/balances/slow/native/{wallet}/refresh"))[0] == 200
