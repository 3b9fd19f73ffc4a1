"""The whole service and a real nats-server: killed in between, started late, moved, wiped, standing still."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import Running, running, until
from tests.e2e.world import World
from tests.fixtures.nats import Follower, NatsServer, ids, stored, talking

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo, pytest.mark.nats]

Json = dict[str, Any]


async def published(service: Running, *, state: str = "live") -> Json:
    """What the status says of NATS, once everything that was told is there."""

    async def is_done() -> Any:
        nats = (await service.get("/status"))["nats"]
        return nats if nats["state"] == state and nats["lagEvents"] == 0 else None

    found: Json = await until(is_done)
    return found


async def stir(home: World, service: Running, rng: random.Random, blocks: int = 5) -> None:
    for _ in range(blocks):
        await home.stir(rng)
    await service.followed(home.anvil)


async def check_all(home: World, service: Running, server: NatsServer, **options: Any) -> list[tuple[str, Json]]:
    """JetStream has exactly the events of the service: each once, in order, word for word."""
    await published(service)
    found = await stored(server, **options)
    assert [body for _, body in found if body["stream"] == home.stream] == await service.events(home.stream)
    return found


async def test_a_follower_gets_every_event_in_order_though_the_server_is_killed_in_between(
    home: World, nats_server: NatsServer, tmp_path: Path
) -> None:
    rng, follower = random.Random(9), Follower()  # noqa: S311 - a script, not a secret
    async with (
        talking(nats_server) as client,
        running(home.config(tmp_path, nats={"url": nats_server.url})) as service,
    ):
        await client.subscribe("balance.>", cb=follower.hear)
        await client.flush()
        for losses in range(1, 4):
            await stir(home, service, rng)
            nats_server.kill()
            await service.says("nats_lost", losses)
            await stir(home, service, rng)
            await nats_server.start()
            await until(lambda: client.is_connected)
            await client.flush()
            await service.says("nats_back", losses)
        await stir(home, service, rng)
        found = await check_all(home, service, nats_server)
        assert {subject for subject, body in found if body["type"].startswith("balance.")} <= {
            f"balance.first.{name}" for name in home.solvers
        }
        # A core subscriber may miss what was sent before it was back itself; JetStream has it all.
        heard = [body["seq"] for _, body in follower.got]
        assert len(heard) > 20
        assert follower.headers == ids(follower.got)
        assert [len(await service.says(event, 3)) for event in ("nats_lost", "nats_back")] == [3, 3]


async def test_a_service_that_ran_while_nats_was_down_and_was_killed_sends_everything_later(
    home: World, make_nats: Callable[..., NatsServer], tmp_path: Path
) -> None:
    rng, server = random.Random(4), make_nats()  # noqa: S311 - a script, not a secret
    async with running(home.config(tmp_path, nats={"url": server.url})) as service:
        await stir(home, service, rng)
        assert (await service.get("/status"))["nats"]["state"] == "lost"
        assert await service.is_ready()
        await service.kill()
        await service.start()
        await stir(home, service, rng)
        await server.start()
        await check_all(home, service, server)
        await stir(home, service, rng)
        assert await service.end() == 0
        await service.start()
        assert (await published(service))["published"] == 0
        await stir(home, service, rng)
        await check_all(home, service, server)


async def test_publishing_starts_moves_and_stops_with_the_file(
    home: World, make_nats: Callable[..., NatsServer], tmp_path: Path
) -> None:
    rng, one, other = random.Random(5), make_nats(), make_nats()  # noqa: S311 - a script, not a secret
    await one.start()
    await other.start()
    config = home.config(tmp_path)
    async with running(config) as service:

        async def save(**parts: Any) -> None:
            service.config = service.config.but(**parts)
            service.config.write()
            status, answer = await service.post("/reload")
            assert (status, answer["restartNeeded"]) == (200, [])

        assert (await service.get("/status"))["nats"] is None
        await stir(home, service, rng)
        await save(nats={"url": one.url})
        first = await check_all(home, service, one)
        await save(solvers=_renamed(home))
        await stir(home, service, rng)
        second = (await check_all(home, service, one))[len(first) :]
        assert {subject for subject, _ in first} <= {f"balance.first.{name}" for name in home.solvers} | _others(first)
        assert {s for s, body in second if body["type"] == "balance.updated"} <= {
            f"balance.first.the%20{name}" for name in home.solvers
        }
        await save(nats={"url": other.url, "stream": "elsewhere"})
        await stir(home, service, rng)
        await published(service)
        moved = await stored(other, "elsewhere")
        assert [*ids(first + second, home.stream), *ids(moved, home.stream)] == [
            event["id"] for event in await service.events(home.stream)
        ]
        await save(nats={})
        assert (await service.get("/status"))["nats"] is None
        await stir(home, service, rng)
        await save(nats={"url": other.url, "stream": "elsewhere"})
        await published(service)
        assert len(await stored(other, "elsewhere")) > len(moved)


async def test_a_server_that_stands_still_delays_no_subscriber(
    home: World, nats_server: NatsServer, tmp_path: Path
) -> None:
    async with (
        running(home.config(tmp_path, nats={"url": nats_server.url})) as service,
        service.subscribed() as subscriber,
    ):
        await published(service)
        await nats_server.freeze()
        for turn in range(5):
            await home.token.send("mint", home.cold, turn + 1)
            started = time.monotonic()
            await home.anvil.mine()
            await subscriber.heard(block=int((await home.anvil.block())["number"], 16))
            assert time.monotonic() - started < 2.0
        nats_server.thaw()
        await check_all(home, service, nats_server)


async def test_wrong_credentials_are_told_without_the_password_and_mended_by_a_reload(
    home: World, make_nats: Callable[..., NatsServer], tmp_path: Path
) -> None:
    server = make_nats('authorization { user: "desk", password: "richtig-123" }')
    await server.start()
    config = home.config(tmp_path, nats={"url": server.url, "user": "desk", "password": "falsch-12345"})
    async with running(config) as service:
        refused = await service.says("nats_refused")
        assert "uthorization" in refused[0]["reason"]
        status = await service.get("/status")
        assert status["nats"]["state"] == "refused"
        assert await service.is_ready()
        metrics = await _metrics(service)
        assert 'indexer_nats_failures_total{outcome="refused"}' in metrics
        service.config.but(nats={"url": server.url.replace("://", "://desk:richtig-123@")}).write()
        await service.says("nats_open")
        await check_all(home, service, server, user="desk", password="richtig-123")
        shown = "\n".join(service.raw) + str(await service.get("/status"))
        assert "falsch-12345" not in shown
        assert "richtig-123" not in shown


async def _metrics(service: Running) -> str:
    async with service._http.get(f"{service.url}/metrics") as answer:
        return await answer.text()


def _renamed(home: World) -> dict[str, Json]:
    return {f'"the {name}"': solver for name, solver in home.solvers.items()}


def _others(messages: list[tuple[str, Json]]) -> set[str]:
    return {subject for subject, body in messages if not body["type"].startswith("balance.")}


async def test_a_wiped_server_gets_its_stream_again_and_what_comes_then(
    home: World, nats_server: NatsServer, tmp_path: Path
) -> None:
    rng = random.Random(6)  # noqa: S311 - a script, not a secret
    async with running(home.config(tmp_path, nats={"url": nats_server.url})) as service:
        await stir(home, service, rng)
        before = await check_all(home, service, nats_server)
        nats_server.kill()
        nats_server.lose_everything()
        await stir(home, service, rng)
        await nats_server.start()
        await published(service)
        after = await stored(nats_server)
        assert ids(before + after, home.stream) == [event["id"] for event in await service.events(home.stream)]
