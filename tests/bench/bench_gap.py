"""A service that was away for 20,000 blocks: how soon everything of them is told and can be read.

Every changed balance is read at the block that changed it, so the node keeps all state.
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.bench.bare import fetched_and_inserted
from tests.bench.longchain import PER_BLOCK, add_blocks, height, long_chain
from tests.bench.rows import Row
from tests.bench.stage import Chain, configuration, running_mongod, running_service, until
from tests.fixtures.chain import wallets

WALLETS: Final = 50


async def run(*, quick: bool) -> list[Row]:
    blocks = 2_000 if quick else 20_000
    people = wallets(WALLETS)
    keep = ("--max-persisted-states", str(blocks + 1_000))
    async with long_chain(keep) as (anvil, token), running_mongod() as store:
        chain = Chain(anvil, (token,))
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            text = configuration([chain], people, store=store, data_dir=Path(folder) / "data")
            async with running_service(text, Path(folder)):
                before = await height(anvil)
            await add_blocks(anvil, token, people, blocks)
            last = await height(anvil)
            bare = await fetched_and_inserted(anvil, token.address, people, store, "bare", first=before + 1)
            async with running_service(text, Path(folder), ready=False) as service:
                started = time.perf_counter()
                await until(lambda: service.reached(chain.stream, last))
                await service.get(f"/api/v1/balances?limit=1&chain={anvil.chain_id}")  # waits for what was told
                took = time.perf_counter() - started
                status = (await service.get("/api/v1/status"))["streams"][chain.stream]
    records = blocks * PER_BLOCK
    if status["seq"] < records:
        raise RuntimeError(f"{status['seq']} events of {records} transfers: {status}")
    size = f"{records:,} logs in {blocks:,} blocks"
    rate = records / took
    return [
        Row(f"gap: {size}, told and readable", rate / 1_000, bare / 1_000, rate / bare, 0.1, "k/s"),
        Row("gap: the same, blocks per second", blocks / took, math.nan, blocks / took, 250, "1/s"),
    ]
