"""What time makes sure, what made a change, and what an audit finds, on the real service."""

from __future__ import annotations

import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path

import pymongo
import pytest

from repositories.left_over import left_over, port_of
from tests.e2e.listening import Subscriber
from tests.e2e.service import Json, Running, running, until
from tests.e2e.world import World, world

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]


async def newest(service: Running, home: World, **query: str) -> Json:
    page = await service.get(f"/balances/first/{home.token.address}/{home.cold}/history", limit=1, **query)
    record: Json = page["items"][0]
    return record


async def gets(service: Running, home: World, finality: str) -> Json:
    """The newest record, once it is that sure; a block now and then keeps the tags moving."""

    async def there() -> Json | None:
        await home.anvil.mine()
        record = await newest(service, home)
        return record if record["finality"] == finality else None

    record: Json = await until(there, seconds=30.0, every=0.5)
    return record


async def finalized(subscriber: Subscriber, level: str, block: Json) -> None:
    await subscriber.heard(level=level, blockNumber=block["blockNumber"], blockHash=block["blockHash"])


async def test_a_record_gets_safe_and_finalized_and_stays_so_after_a_restart(tmp_path: Path) -> None:
    async with world() as home, running(home.config(tmp_path)) as service:
        async with service.subscribed() as subscriber:
            transaction = await home.token.send("mint", home.cold, 7)
            await home.anvil.mine()
            await service.followed(home.anvil)
            record = await newest(service, home, explain="true")
            assert (record["finality"], record["unexplained"]) == ("latest", "0")
            (log,) = record["transfers"]
            assert (log["transactionHash"], log["to"], log["value"]) == (transaction, home.cold, "7")
            await home.anvil.mine(40)
            await finalized(subscriber, "safe", await gets(service, home, "safe"))
            await home.anvil.mine(40)
            await finalized(subscriber, "finalized", await gets(service, home, "finalized"))
        await service.kill()
        await service.start()
        assert (await newest(service, home))["finality"] == "finalized"


async def test_an_audit_finds_what_a_hand_in_the_database_changed(tmp_path: Path) -> None:
    async with world() as home, running(home.config(tmp_path)) as service:
        await home.token.send("mint", home.cold, 7)
        await home.anvil.mine()
        await service.followed(home.anvil)
        record = await newest(service, home)
        status, clean = await service.post("/audit", {"count": 500})
        assert (status, clean["differing"], clean["unreadable"]) == (200, [], 0)
        assert clean["checked"] >= 7
        pid = left_over(service.config.data_dir / "mongo")
        assert pid is not None
        with pymongo.MongoClient[Json](f"mongodb://127.0.0.1:{port_of(pid)}/?directConnection=true") as client:
            row = {"blockHash": record["blockHash"], "solverAddress": home.cold, "tokenAddress": home.token.address}
            client["indexer"]["balance_records"].update_one(row, {"$set": {"balance": "1"}})
        command = (sys.executable, "-m", "indexer", "audit", "--count", "500", "--url", service.url)
        process = await create_subprocess_exec(*command, stdout=PIPE)
        told, _ = await process.communicate()
        assert process.returncode == 1
        assert f"{clean['checked']} records read again at their blocks: 1 differs" in told.decode()
        assert record["balance"] in told.decode()
        assert await service.says("audit_differs", stored=1)
