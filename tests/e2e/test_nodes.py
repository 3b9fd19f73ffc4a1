"""Bad days of nodes: each chain of one service has a trouble of its own, and the others do not notice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from indexer.demo.anvil import Anvil
from tests.e2e import truth
from tests.e2e.listening import Subscriber
from tests.e2e.service import Running, chain_table, running, until
from tests.e2e.world import World, world
from tests.fixtures.mongo import free_port
from tests.fixtures.moody import Moody
from tests.fixtures.proxy import Proxy

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo, pytest.mark.asyncio(loop_scope="module")]

RNG = random.Random(5)  # noqa: S311 - a script, not a secret


@dataclass(frozen=True)
class Stage:
    service: Running
    well: World
    frozen: World
    reborn: World
    late: Anvil
    subscriber: Subscriber

    async def others_live(self) -> None:
        """A change on the chain that has no trouble is told as ever."""
        await self.well.token.send("mint", self.well.cold, 1)
        await self.well.anvil.mine()
        number = int((await self.well.anvil.block())["number"], 16)
        await self.subscriber.heard(chainId=1, block=number, tokenAddress=self.well.token.address)
        assert await self.service.is_ready("well")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        well, frozen, reborn = [await stack.enter_async_context(world(chain_id)) for chain_id in (1, 2, 3)]
        late = Anvil(chain_id=4, port=free_port())
        late._port = late._fixed_port or 0
        stack.push_async_callback(late.stop)
        chains = {
            "well": well.table(),
            "frozen": frozen.table(),
            "reborn": reborn.table(rpc_urls=[reborn.anvil.http_url]),
            "late": chain_table(late),
            "liar": {"chain_id": 99, "rpc_urls": [well.anvil.http_url], "ws_urls": [well.anvil.ws_url]},
        }
        config = well.config(tmp_path_factory.mktemp("nodes"), chains=chains, store={"url": "memory"})
        service = await stack.enter_async_context(running(config, ready=False))
        for name in ("well", "frozen", "reborn"):
            await service.ready(name)
        subscriber = await stack.enter_async_context(service.subscribed())
        yield Stage(service, well, frozen, reborn, late, subscriber)


async def test_a_node_of_another_chain_is_refused_by_name_and_told_once(stage: Stage) -> None:
    service = stage.service

    async def suspended() -> bool:
        return bool((await service.stream(99))["state"] == "suspended")

    await until(suspended)
    stream = await service.stream(99)
    assert "follows chain 1, not 99; correct chain_id or rpc_urls" in stream["lastError"]
    assert len(await service.says("chain_suspended", chain="liar")) == 1
    status, problem = await service.call("GET", "/ready", chain="liar")
    assert status == 503
    assert "(liar) is suspended" in problem["detail"]
    assert (await service.call("GET", "/ready"))[0] == 503
    assert (await service.call("GET", "/health"))[0] == 200
    await stage.others_live()


async def test_a_node_that_is_down_at_the_start_is_followed_once_it_is_there(stage: Stage) -> None:
    service = stage.service
    await service.says("endpoint_lost", chain="late")
    assert (await service.stream(4))["state"] == "starting"
    assert (await service.call("GET", "/ready", chain="late"))[0] == 503
    await stage.others_live()
    await asyncio.sleep(1.5)  # long enough for the second and third attempt to fail as well
    await stage.late.start()
    await stage.late.send(stage.well.cold, value=5)
    await stage.late.mine(3)
    await service.ready("late")
    assert len(await service.says("endpoint_lost", chain="late")) == 1
    found = await service.balance("late", "native", stage.well.cold)
    assert int(found["balance"]) == await truth.balance(stage.late, "native", stage.well.cold)
    await until(lambda: service.said("socket_open", chain="late"))


async def test_a_node_that_hangs_is_stale_and_caught_up_with_afterwards(stage: Stage) -> None:
    service, frozen = stage.service, stage.frozen
    await frozen.stir(RNG)
    await service.followed(frozen.anvil)
    frozen.anvil.suspend()
    try:
        stale = await stage.subscriber.until(
            lambda frames: next((f for f in frames if f["type"] == "stream.stale" and f["stream"] == "chain:2"), None),
            40,
        )
        assert stale["data"]["reason"]
        await stage.others_live()
        assert not await service.is_ready("frozen")
        assert (await service.stream(2))["state"] == "stale"
    finally:
        frozen.anvil.resume()
    for _ in range(5):
        await frozen.stir(RNG)
    await service.ready("frozen")
    await truth.check_history(service, frozen.anvil, frozen.holdings())
    await stage.subscriber.until(
        lambda frames: any(frame["type"] == "stream.live" and frame["stream"] == "chain:2" for frame in frames)
    )
    truth.check_dense(await service.events("chain:2"))


async def test_a_chain_that_was_born_again_is_refused_and_its_past_kept(stage: Stage) -> None:
    service, reborn = stage.service, stage.reborn
    await reborn.stir(RNG)
    await service.followed(reborn.anvil)
    before = await service.events("chain:3")
    history = await service.history(3, "native", reborn.acme)
    port = reborn.anvil.port
    await reborn.anvil.stop()
    async with Anvil(chain_id=3, port=port) as other:
        await other.mine(20)

        async def suspended() -> bool:
            return bool((await service.stream(3))["state"] == "suspended")

        await until(suspended, 40)
        assert "genesis" in (await service.stream(3))["lastError"]
        await other.mine(2)
        await stage.others_live()
        assert len(await service.says("chain_suspended", chain="reborn")) == 1
        told = (await service.events("chain:3"))[len(before) :]
        assert {event["type"] for event in told} <= {"stream.stale", "stream.live"}
        kept = await service.history(3, "native", reborn.acme)
        assert [row["blockHash"] for row in kept] == [row["blockHash"] for row in history]


async def test_an_old_store_is_not_used_for_another_chain_of_the_same_id(tmp_path: Path) -> None:
    async with world() as home, world(7) as other, running(home.config(tmp_path)) as service:
        assert await service.end() == 0
        async with Anvil(chain_id=home.anvil.chain_id) as impostor:
            service.config = service.config.but(chains={"first": chain_table(impostor), "other": other.table()})
            await service.start(ready=False)
            await service.ready("other")
            suspended = await service.says("chain_suspended", chain="first")
            assert "genesis" in suspended[0]["reason"]
            rows = await service.history("first", "native", home.acme)
            assert len(rows) == 1


@pytest.mark.parametrize("is_first", [False, True], ids=["after ours", "before ours"])
async def test_an_endpoint_of_another_chain_with_our_id_suspends_nobody(tmp_path: Path, is_first: bool) -> None:
    async with (
        world() as home,
        Anvil(chain_id=home.anvil.chain_id, args=("--timestamp", "1700000000")) as foreign,
        Moody(home.anvil.http_url, home.anvil.ws_url) as good,
    ):
        await foreign.mine(100)
        ours = home.table(rpc_urls=[good.http_url], ws_urls=[])
        async with running(home.config(tmp_path, chains={"first": ours})) as service:
            assert await service.end() == 0
            urls = [foreign.http_url, good.http_url] if is_first else [good.http_url, foreign.http_url]
            service.config = service.config.but(chains={"first": ours | {"rpc_urls": urls}})
            await service.start()
            good.mood, asked = "503", good.requests
            await until(lambda: good.requests > asked + 1)
            good.mood = "well"
            await home.stir(RNG)
            await service.followed(home.anvil)
            assert not service.said("chain_suspended")
            await truth.check_history(service, home.anvil, home.holdings())


async def test_a_websocket_of_another_chain_with_our_id_is_not_believed(tmp_path: Path) -> None:
    async with world() as home, Anvil(chain_id=home.anvil.chain_id, args=("--timestamp", "1700000000")) as foreign:
        await foreign.mine(100)
        ours = home.table(ws_urls=[foreign.ws_url, home.anvil.ws_url])
        config = home.config(tmp_path, chains={"first": ours}, store={"url": "memory"})
        async with running(config) as service:
            await service.says("socket_open")
            for _ in range(5):
                await foreign.mine(2)
                await home.stir(RNG)
                await service.followed(home.anvil)
            (lost,) = await service.says("socket_lost")
            assert "genesis" in lost["reason"]
            assert not service.said("reorg_doubted")
            assert not service.said("chain_reorged")
            assert (await service.stream(home.anvil.chain_id))["heads"] == "ws"
            await truth.check_history(service, home.anvil, home.holdings())


@pytest.mark.parametrize("has_websocket", [True, False], ids=["websocket", "polled"])
async def test_a_provider_that_refuses_our_key_is_stale_for_that_reason(tmp_path: Path, has_websocket: bool) -> None:
    async with world() as home, Moody(home.anvil.http_url, home.anvil.ws_url) as provider:
        table = home.table(rpc_urls=[provider.http_url], ws_urls=[home.anvil.ws_url] if has_websocket else [])
        config = home.config(tmp_path, chains={"first": table}, store={"url": "memory"})
        async with running(config) as service, service.subscribed() as subscriber:
            provider.mood = "401"
            await home.anvil.mine()
            stale = await subscriber.until(
                lambda frames: next((frame for frame in frames if frame["type"] == "stream.stale"), None), 40
            )
            assert "HTTP 401" in stale["data"]["reason"]
            assert "HTTP 401" in (await service.stream(home.anvil.chain_id))["lastError"]
            provider.mood = "well"
            await service.ready()


async def test_connections_that_are_cut_and_fall_silent_lose_nothing(tmp_path: Path) -> None:
    rng = random.Random(3)  # noqa: S311 - a script, not a secret
    async with world() as home, Proxy(home.anvil.port) as http, Proxy(home.anvil.port) as ws:
        table = home.table(rpc_urls=[http.http_url], ws_urls=[ws.ws_url])
        config = home.config(tmp_path, chains={"first": table}, store={"url": "memory"})
        async with running(config) as service:
            for _ in range(40):
                await home.stir(rng, 2)
                proxy = rng.choice((http, ws))
                match rng.randrange(6):
                    case 0:
                        proxy.cut()
                    case 1:
                        proxy.mute()
                    case 2:
                        await home.anvil.reorg(rng.randrange(1, 3))
                    case _:
                        proxy.unmute()
                await asyncio.sleep(rng.uniform(0.0, 0.1))
            http.unmute()
            ws.unmute()
            await home.anvil.mine()
            await service.ready()
            await truth.check_history(service, home.anvil, home.holdings())
            events = await service.events(home.stream)
            truth.check_dense(events)
            truth.check_linked(events)
