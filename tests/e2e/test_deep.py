"""A reorg deeper than the window: told as one resync, and no row of an orphaned block stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import truth
from tests.e2e.service import running
from tests.e2e.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

WINDOW = 5
DEPTH = 11


@pytest.mark.parametrize("is_down", [False, True], ids=["live", "down"])
async def test_what_lies_below_the_window_is_cut_and_read_anew(home: World, tmp_path: Path, *, is_down: bool) -> None:
    token = home.token
    config = home.config(tmp_path, chains={"first": home.table(reorg_window_blocks=WINDOW)})
    async with running(config) as service:
        for amount in (500, *range(1, DEPTH + 1)):
            await token.send("mint", home.cold, amount)
            await home.anvil.mine()
            await service.followed(home.anvil)
        ancestor = await service.followed(home.anvil) - DEPTH
        orphaned = {(await home.anvil.block(ancestor + number))["hash"] for number in range(1, DEPTH + 1)}
        held = await token.balance(home.cold) - sum(range(1, DEPTH + 1))
        if is_down:
            assert await service.end() == 0
        paid = {"from": home.anvil.accounts[0], "to": token.address, "data": token.contract.data("mint", home.cold, 7)}
        await home.anvil.reorg(DEPTH, [(paid, DEPTH - 2)])
        await home.anvil.mine()
        if is_down:
            await service.start()
        histories = await truth.check_history(service, home.anvil, home.holdings(), whole=False)
        rows = histories[token.address, home.cold]
        assert not orphaned & {row["blockHash"] for each in histories.values() for row in each}
        told = await service.events(home.stream)
        (resync,) = [event for event in told if event["type"] == "stream.resync"]
        assert resync["data"]["reason"] == "a reorg deeper than the window"
        block = resync["data"]["block"]
        assert [(row["blockNumber"], int(row["balance"]), row["cause"]) for row in rows[-2:]] == [
            (ancestor, held, "transfer"),
            (block, held + 7, "resync"),
        ]
        stream = await service.stream(home.anvil.chain_id)
        assert (stream["state"], stream["lastResync"]["block"]) == ("live", block)
        truth.check_dense(told)
        truth.check_linked(told)
