"""A chain that is polled, of a node that announces blocks before it has indexed their logs."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.e2e import truth
from tests.e2e.service import running
from tests.e2e.world import World
from tests.fixtures.liar import Liar

pytestmark = [pytest.mark.e2e, pytest.mark.node]

RNG = Random(23)  # noqa: S311 - a script, not a secret
LATE_SECONDS = 0.15


async def test_a_transfer_whose_log_comes_after_its_block_is_told_with_it(home: World, tmp_path: Path) -> None:
    asked: dict[str, float] = {}

    def hide(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        block = call["params"][0].get("blockHash") if call["method"] == "eth_getLogs" else None
        if block is None:
            return answer
        is_early = time.monotonic() - asked.setdefault(block, time.monotonic()) < LATE_SECONDS
        return {**answer, "result": []} if is_early else answer

    async with Liar(home.anvil.http_url) as node:
        node.alter = hide
        table = home.table(rpc_urls=[node.url], ws_urls=[])
        async with running(home.config(tmp_path, chains={"first": table}, store={"url": "memory"})) as service:
            await service.followed(home.anvil)
            for amount in range(1, 6):
                await home.token.send("mint", home.cold, amount)
                await home.anvil.mine()
                await service.followed(home.anvil)
            path = f"/balances/first/{home.token.address}/{home.cold}/history"
            rows = (await service.get(path, explain="true", limit=5))["items"]
            told = [(row["changeAmount"], row["cause"], row["unexplained"]) for row in rows]
            assert told == [(str(amount), "transfer", "0") for amount in range(5, 0, -1)]
            assert all(len(row["transfers"]) == 1 for row in rows)
            await truth.check_history(service, home.anvil, home.holdings())
