"""What is watched changes while the service runs: over the API, by saving the file, by a signal."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from indexer.demo.contracts import deploy
from tests.e2e import truth
from tests.e2e.service import Json, Running, running, until
from tests.e2e.world import ETHER, World, world
from tests.fixtures.chain import wallets
from tests.fixtures.proxy import Proxy

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo, pytest.mark.asyncio(loop_scope="module")]

FRESH = iter(wallets(100, 0x7000))


@dataclass(frozen=True)
class Stage:
    """`counted` stands between the service and its first chain: a reload must not make it connect again."""

    home: World
    other: World
    service: Running
    counted: Proxy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        home, other = await stack.enter_async_context(world()), await stack.enter_async_context(world(5))
        counted = await stack.enter_async_context(Proxy(home.anvil.port))
        config = home.config(
            tmp_path_factory.mktemp("watching"), chains={"first": home.table(ws_urls=[counted.ws_url])}
        )
        service = await stack.enter_async_context(running(config))
        await service.says("socket_open")
        yield Stage(home, other, service, counted)


# --- over the API


async def test_a_solver_added_has_its_balances_within_a_second_though_nothing_is_mined(stage: Stage) -> None:
    wallet = next(FRESH)
    async with stage.service.subscribed() as subscriber:
        begun = time.monotonic()
        status, answer = await stage.service.post("/solvers", {"name": "dune", "address": wallet})
        assert (status, answer["name"], answer["address"]) == (201, "dune", wallet)
        for token in ("native", stage.home.token.address):
            event = await subscriber.heard(solverAddress=wallet, tokenAddress=token)
            assert (event["data"]["cause"], event["data"]["newBalance"]) == ("first", "0")
        assert time.monotonic() - begun < 1
    assert (await stage.service.balance("first", "native", wallet))["balance"] == "0"
    await stage.home.anvil.send(wallet, value=ETHER)
    await stage.home.token.send("mint", wallet, 3)
    await stage.home.anvil.mine()
    await truth.check_history(stage.service, stage.home.anvil, [("native", wallet), (stage.home.token.address, wallet)])
    assert (await stage.service.post("/solvers", {"name": "dune", "address": next(FRESH)}))[0] == 409
    status, problem = await stage.service.post("/solvers", {"name": "dune2", "address": wallet})
    assert (status, problem["field"]) == (422, "address")
    assert "dune" in problem["detail"]


async def test_a_token_added_has_its_balances_within_a_second(stage: Stage) -> None:
    token = await deploy(stage.home.anvil, "PlainToken", "Later", "LTR", 2)
    await token.send("mint", stage.home.acme, 1234)
    await stage.home.anvil.mine()
    await stage.service.followed(stage.home.anvil)
    async with stage.service.subscribed() as subscriber:
        begun = time.monotonic()
        status, answer = await stage.service.post("/tokens", {"chain": "first", "addresses": [token.address.lower()]})
        assert status == 201
        assert answer["items"][0]["tokenSymbol"] == "LTR"
        event = await subscriber.heard(tokenAddress=token.address, solverAddress=stage.home.acme)
        assert time.monotonic() - begun < 1
    assert (event["data"]["newBalance"], event["data"]["amount"]) == ("1234", "12.34")
    assert (await stage.service.post("/tokens", {"chain": 31337, "addresses": [token.address]}))[0] == 200
    await token.send("transfer", stage.home.bolt, 34, sender=stage.home.acme)
    await stage.home.anvil.mine()
    holdings = [(token.address, wallet) for wallet in (stage.home.acme, stage.home.bolt)]
    await truth.check_history(stage.service, stage.home.anvil, holdings)


async def test_a_token_of_the_newest_block_is_read_though_its_head_is_still_on_its_way(stage: Stage) -> None:
    for _ in range(10):
        token = (await deploy(stage.home.anvil, "BareToken")).address
        assert (await stage.service.post("/tokens", {"chain": "first", "addresses": [token]}))[0] == 201
        await until(lambda: _is_read(stage.service, token, stage.home.acme), 2)  # noqa: B023 - awaited here
        assert await stage.service.delete(f"/tokens/first/{token}") == 204


async def test_what_was_added_survives_a_restart_and_what_was_removed_does_not(stage: Stage) -> None:
    kept, gone = next(FRESH), next(FRESH)
    token = (await deploy(stage.home.anvil, "Bytes32Token")).address
    for name, wallet in (("kept", kept), ("gone", gone)):
        assert (await stage.service.post("/solvers", {"name": name, "address": wallet}))[0] == 201
    assert (await stage.service.post("/tokens", {"chain": "first", "addresses": [token]}))[0] == 201
    await until(lambda: _is_read(stage.service, token, gone))
    assert await stage.service.delete("/solvers/gone") == 204
    assert await stage.service.delete("/solvers/gone") == 404
    assert await stage.service.end() == 0
    await stage.service.start()
    solvers = {item["name"]: item for item in (await stage.service.get("/solvers"))["items"]}
    assert solvers["kept"]["source"] == "api"
    assert solvers["acme"]["source"] == "file"
    assert "gone" not in solvers
    assert (await stage.service.balance("first", token, kept))["tokenSymbol"] == "MKR"
    assert (await stage.service.call("GET", f"/api/v1/balances/first/{token}/{gone}"))[0] == 404
    # Its past can still be read.
    assert len(await stage.service.history("first", token, gone)) == 1
    assert await stage.service.delete(f"/tokens/first/{token.lower()}") == 204
    assert token not in str(await stage.service.get("/balances", limit=1000))
    # Watched again, it goes on where it was.
    assert (await stage.service.post("/solvers", {"name": "gone", "address": gone}))[0] == 201


async def test_what_the_file_defines_cannot_be_deleted_over_the_api(stage: Stage) -> None:
    for path in ("/solvers/acme", f"/tokens/first/{stage.home.token.address}"):
        status, problem = await stage.service.call("DELETE", f"/api/v1{path}")
        assert status == 422
        assert "configuration file" in problem["detail"]


async def test_a_wallet_watched_again_shows_what_changed_meanwhile_once(stage: Stage) -> None:
    wallet = next(FRESH)
    assert (await stage.service.post("/solvers", {"name": "back", "address": wallet}))[0] == 201
    await until(lambda: _is_read(stage.service, "native", wallet))
    assert await stage.service.delete("/solvers/back") == 204
    await stage.home.anvil.send(wallet, value=7)
    await stage.home.anvil.mine(2)
    await stage.service.followed(stage.home.anvil)
    assert (await stage.service.post("/solvers", {"name": "back", "address": wallet}))[0] == 201

    async def seven() -> bool:
        status, found = await stage.service.call("GET", f"/api/v1/balances/first/native/{wallet}")
        return status == 200 and bool(found["balance"] == "7")

    await until(seven)
    rows = await stage.service.history("first", "native", wallet)
    assert [(row["balance"], row["changeAmount"]) for row in rows] == [("7", "7"), ("0", None)]


# --- the file


async def test_a_reload_adds_and_removes_chain_solver_and_token_and_leaves_the_rest_alone(stage: Stage) -> None:
    service, home, other = stage.service, stage.home, stage.other
    connections, wallet = stage.counted.connections, next(FRESH)
    token = (await deploy(home.anvil, "PlainToken", "Second", "SEC", 0)).address
    old = service.config
    chains = {
        "first": {**old.chains["first"], "tokens": [home.token.address, token]},
        "other": other.table(),
    }
    service.config = old.but(chains=chains, solvers={**home.solvers, "eve": {"address": wallet}})
    async with service.subscribed() as subscriber:
        applied = await _reload(service)
        assert applied["chains"]["added"] == ["other"]
        assert applied["solvers"]["added"] == ["eve"]
        assert {"chainId": 31337, "address": token} in applied["tokens"]["added"]
        await service.ready()
        await subscriber.heard(chainId=5, tokenAddress=other.token.address, solverAddress=other.acme)
        await subscriber.heard(chainId=31337, tokenAddress=token, solverAddress=wallet)
    await home.anvil.mine()
    await truth.check_history(service, home.anvil, [*home.holdings(), (token, wallet), ("native", wallet)])
    await truth.check_history(service, other.anvil, other.holdings())
    service.config = old
    applied = await _reload(service)
    assert applied["chains"]["removed"] == ["other"]
    assert applied["solvers"]["removed"] == ["eve"]
    status = await service.get("/status")
    assert list(status["streams"]) == ["chain:31337", "history:31337"]
    assert (await service.call("GET", f"/api/v1/balances/first/native/{wallet}"))[0] == 404
    assert "SEC" not in str(await service.get("/balances", limit=1000))
    assert stage.counted.connections == connections
    assert await service.is_ready()
    # A chain that comes back goes on with its numbers, and catches up with what it missed.
    await other.token.send("mint", other.acme, 9)
    await other.anvil.mine(3)
    service.config = old.but(chains={**old.chains, "other": other.table()})
    await _reload(service)
    await service.ready()
    await truth.check_history(service, other.anvil, other.holdings())
    truth.check_dense(await service.events(other.stream))
    service.config = old
    await _reload(service)


async def test_a_solver_that_the_file_hides_is_named_while_it_is_hidden_and_when_it_comes_back(stage: Stage) -> None:
    ours, files = next(FRESH), next(FRESH)
    service, old = stage.service, stage.service.config
    assert (await service.post("/solvers", {"name": "shade", "address": ours}))[0] == 201
    await until(lambda: _is_read(service, "native", ours))
    token = (await deploy(stage.home.anvil, "PlainToken", "Both", "BTH", 0)).address
    assert (await service.post("/tokens", {"chain": "first", "addresses": [token]}))[0] == 201
    hidden = {"name": "shade", "address": ours, "by": "shade", "unwatchedOn": [31337]}
    tokens = [{"chainId": 31337, "address": token}]
    service.config = old.but(
        solvers={**stage.home.solvers, "shade": {"address": files}},
        chains={"first": {**old.chains["first"], "tokens": [stage.home.token.address, token]}},
    )
    service.config.write()
    status, applied = await service.post("/reload")
    assert status == 200
    await service.says("solver_hidden", solver="shade", address=ours, by="shade", level="warning")
    # Who looks at the file once a second may have been first.
    told = applied if applied["solvers"]["added"] else (await service.says("config_applied"))[-1]
    assert (told["solvers"]["hidden"], told["tokens"]["hidden"]) == ([hidden], tokens)
    assert (await service.get("/status"))["config"]["hidden"] == {"solvers": [hidden], "tokens": tokens, "accounts": []}
    await service.end()
    await service.start()
    assert (await service.get("/status"))["config"]["hidden"]["solvers"] == [hidden]
    await service.says("solver_hidden", solver="shade", unwatched=[31337])
    service.config = old
    service.config.write()
    _, applied = await service.post("/reload")
    await service.says("solver_back", solver="shade")
    told = applied if applied["solvers"]["removed"] else (await service.says("config_applied"))[-1]
    assert told["solvers"]["removed"] == ["shade"]
    assert told["solvers"]["back"] == [{"name": "shade", "address": ours}]
    assert told["tokens"]["back"] == tokens
    assert (await service.get("/status"))["config"]["hidden"] == {"solvers": [], "tokens": [], "accounts": []}
    await until(lambda: _is_read(service, "native", ours))
    assert await service.delete("/solvers/shade") == 204
    assert await service.delete(f"/tokens/first/{token}") == 204


async def test_saving_the_file_applies_it(stage: Stage) -> None:
    wallet = next(FRESH)
    service, old = stage.service, stage.service.config
    connections = stage.counted.connections
    service.config = old.but(solvers={**stage.home.solvers, "frank": {"address": wallet}})
    service.config.write()
    await until(lambda: _is_read(service, "native", wallet))
    service.config = old
    service.config.write()
    await until(lambda: _lacks(service, "frank"))
    assert stage.counted.connections == connections


async def test_a_hang_up_applies_the_file(stage: Stage) -> None:
    wallet = next(FRESH)
    service, old = stage.service, stage.service.config
    service.config = old.but(solvers={**stage.home.solvers, "gina": {"address": wallet}})
    service.config.write()
    service.hang_up()
    await until(lambda: _is_read(service, "native", wallet), 0.9)
    service.config = old
    await _reload(service)


async def test_an_invalid_file_changes_nothing_and_is_told_everywhere(stage: Stage) -> None:
    service, old = stage.service, stage.service.config
    before = await service.get("/solvers")
    connections = stage.counted.connections
    service.config = old.but(solvers={"zoe": {"address": "0x12"}}, chains={**old.chains, "bad": {"chain_id": 0}})
    service.config.write()
    status, problem = await service.post("/reload")
    assert status == 422
    assert "solvers.zoe.address" in str(problem)
    assert "chains.bad" in str(problem)
    assert "solvers.zoe.address" in str((await service.get("/status"))["config"]["problems"])
    assert await service.says("config_refused")
    assert await service.get("/solvers") == before
    assert stage.counted.connections == connections
    assert await service.is_ready()
    service.config = old
    await _reload(service)
    assert (await service.get("/status"))["config"]["problems"] == []


async def test_a_chain_with_another_setting_starts_anew_and_goes_on_with_its_numbers(stage: Stage) -> None:
    service, home = stage.service, stage.home
    before = await service.events(home.stream)
    old = service.config
    service.config = old.but(chains={"first": {**old.chains["first"], "native_symbol": "XYZ"}})
    assert (await _reload(service))["chains"]["changed"] == ["first"]
    await service.ready()
    await home.anvil.send(home.cold, value=1)
    await home.anvil.mine()
    await truth.check_history(service, home.anvil, home.holdings())
    events = await service.events(home.stream)
    assert events[: len(before)] == before
    truth.check_dense(events)

    async def all_have_it() -> bool:
        """Also those that stand still."""
        wallets = (home.acme, home.bolt, home.cold)
        return {(await service.balance("first", "native", wallet))["tokenSymbol"] for wallet in wallets} == {"XYZ"}

    await until(all_have_it)
    service.config = old
    await _reload(service)
    await service.ready()


async def _reload(service: Running) -> Json:
    service.config.write()
    status, applied = await service.post("/reload")
    assert status == 200, applied
    found: Json = applied
    return found


async def _is_read(service: Running, token: str, wallet: str) -> bool:
    status, _ = await service.call("GET", f"/api/v1/balances/first/{token}/{wallet}")
    return status == 200


async def _lacks(service: Running, name: str) -> bool:
    return name not in str(await service.get("/solvers"))
