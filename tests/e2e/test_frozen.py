"""A mongod that keeps its connections and says nothing keeps nobody waiting who asks over HTTP."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.mongo import Mongo
from tests.e2e.service import Running, running, until
from tests.e2e.world import World
from tests.fixtures.chain import wallets

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

IN_TIME = 6.0
"""Seconds. Four are waited at most; the rest is for two busy cores."""


async def test_who_asks_a_frozen_store_for_anything_is_told_so_within_seconds(home: World, tmp_path: Path) -> None:
    holding = f"/balances/first/native/{home.acme}"
    reads = ["/balances", holding, f"{holding}/history", f"{holding}/stats"]
    reads.append(f"/events?stream={home.stream}")
    writes: list[tuple[str, Any]] = [
        ("/solvers", {"name": "late", "address": wallets(1, 0x7000)[0]}),
        (f"{holding}/refresh", None),
        ("/audit", {"count": 5}),
    ]
    with Mongo() as mongo:
        async with running(home.config(tmp_path, store={"url": mongo.url})) as service:
            block = (await service.get(holding))["blockNumber"]
            reads.append(f"{holding}?block={block}")
            mongo.freeze()
            for asked in (writes, []):  # when the driver has noticed nothing yet, and while it waits
                answers = await asyncio.gather(
                    *(_timed(service, "GET", path) for path in reads),
                    *(_timed(service, "POST", path, body) for path, body in asked),
                )
                assert {status for status, _, _ in answers} == {503}
                assert all("store does not answer" in detail for _, detail, _ in answers)
                assert max(seconds for _, _, seconds in answers) < IN_TIME
            assert (await service.call("GET", "/api/v1/status"))[0] == 200
            mongo.thaw()
            for path in reads:
                await until(lambda: _is_well(service, path), 40)  # noqa: B023 - awaited here
            # A write was not cut between being stored and being applied.
            await until(lambda: service.said("request_done_late", path="/api/v1/solvers"), 40)
            assert "late" in {each["_id"] for each in mongo.documents("solvers", {}, "_id")}
            assert "late" in {each["name"] for each in (await service.get("/solvers"))["items"]}


async def _is_well(service: Running, path: str) -> bool:
    return (await service.call("GET", f"/api/v1{path}"))[0] == 200


async def _timed(service: Running, method: str, path: str, body: Any = None) -> tuple[int, str, float]:
    began = time.monotonic()
    status, problem = await service.call(method, f"/api/v1{path}", body)
    return status, str(problem.get("detail")), time.monotonic() - began
