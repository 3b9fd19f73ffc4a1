"""Tokens that are none, or strange: refused with the reason, told once when the file has them, exact when huge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from eth_abi.abi import encode

from indexer.addresses import checksum
from indexer.demo.contracts import deploy
from tests.e2e import truth
from tests.e2e.service import Running, running, until
from tests.e2e.world import World, world

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

WORD = 2**256 - 1
NOBODY = checksum("0x" + "ab" * 20)


@dataclass(frozen=True)
class Stage:
    home: World
    service: Running
    odd: dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A service whose file names tokens that revert, or are no contract, beside good ones."""
    async with world() as home:
        shapes = {"empty": (0, 0), "short": (31, 0), "long": (64, 0), "reverts": (0, 1), "huge": (32, 0), "bad": (0, 1)}
        odd = {name: (await deploy(home.anvil, "OddToken", *shape)).address for name, shape in shapes.items()}
        table = home.table(home.token.address, odd["bad"], NOBODY)
        config = home.config(tmp_path_factory.mktemp("tokens"), chains={"first": table}, store={"url": "memory"})
        async with running(config) as service:
            yield Stage(home, service, {name: address for name, address in odd.items() if name != "bad"})


@pytest.mark.parametrize(
    ("which", "reason"),
    [("empty", "no bytes"), ("short", "31 bytes"), ("long", "64 bytes"), ("reverts", "revert")],
)
async def test_a_contract_that_is_no_token_is_refused_with_the_reason(stage: Stage, which: str, reason: str) -> None:
    token = stage.odd[which]
    status, problem = await stage.service.post("/tokens", {"chain": "first", "addresses": [token]})
    assert status == 422
    assert problem["field"].startswith("addresses")
    assert token in problem["detail"]
    assert reason in problem["detail"]
    assert token not in str(await stage.service.get("/tokens"))


async def test_an_address_without_code_is_refused(stage: Stage) -> None:
    lonely = checksum("0x" + "cd" * 20)
    status, problem = await stage.service.post("/tokens", {"chain": 31337, "addresses": [lonely]})
    assert status == 422
    assert "no code" in problem["detail"]
    assert lonely in problem["detail"]


async def test_one_bad_token_among_good_ones_changes_nothing(stage: Stage) -> None:
    good = (await deploy(stage.home.anvil, "BareToken")).address
    body = {"chain": "first", "addresses": [good, stage.odd["short"]]}
    assert (await stage.service.post("/tokens", body))[0] == 422
    assert good not in str(await stage.service.get("/tokens"))


async def test_the_largest_number_is_told_stored_and_served_exactly(stage: Stage) -> None:
    huge = stage.odd["huge"]
    async with stage.service.subscribed() as subscriber:
        assert (await stage.service.post("/tokens", {"chain": "first", "addresses": [huge]}))[0] == 201
        event = await subscriber.heard(tokenAddress=huge, solverAddress=stage.home.acme)
    assert event["data"]["newBalance"] == str(WORD)
    assert event["data"]["cause"] == "first"
    found = await stage.service.balance("first", huge, stage.home.acme)
    assert (found["balance"], found["amount"]) == (str(WORD), None)
    (row,) = await stage.service.history("first", huge, stage.home.acme)
    assert row["balance"] == str(WORD)
    stats = await stage.service.get(f"/balances/first/{huge}/{stage.home.acme}/stats")
    assert stats["max"] == stats["average"] == str(WORD)


async def test_bad_tokens_in_the_file_are_told_once_and_keep_nothing_from_working(stage: Stage) -> None:
    service, home = stage.service, stage.home
    for _ in range(3):
        await home.token.send("mint", home.cold, 1)
        await home.anvil.mine()
    await service.followed(home.anvil)
    assert await service.is_ready()
    listed = {item["tokenAddress"]: item for item in (await service.get("/tokens"))["items"]}
    for token in listed.keys() - {home.token.address, stage.odd["huge"]}:
        assert len(await service.says("token_unreadable", token=token)) == 1
        # Absent is not zero.
        status, problem = await service.call("GET", f"/api/v1/balances/first/{token}/{home.acme}")
        assert status == 404
        assert problem["detail"]
    await truth.check_history(service, home.anvil, home.holdings())


async def test_a_refresh_of_a_token_that_cannot_be_read_says_why(stage: Stage) -> None:
    bad = next(
        item["tokenAddress"]
        for item in (await stage.service.get("/tokens"))["items"]
        if item["tokenAddress"] not in (NOBODY, stage.home.token.address, stage.odd["huge"])
    )
    status, problem = await stage.service.post(f"/balances/first/{bad}/{stage.home.acme}/refresh")
    assert status == 422
    assert "revert" in problem["detail"]


async def test_a_token_that_comes_to_life_later_is_read_by_the_next_sync(stage: Stage) -> None:
    """A token that could not be read is looked at again, here by asking."""
    code = await stage.home.anvil.rpc("eth_getCode", stage.home.token.address, "latest")
    await stage.home.anvil.rpc("anvil_setCode", NOBODY, code)
    await stage.home.anvil.mine()
    await stage.service.followed(stage.home.anvil)
    path = f"/balances/first/{NOBODY}/{stage.home.acme}"

    async def refreshed() -> bool:
        return (await stage.service.post(f"{path}/refresh"))[0] == 200

    await until(refreshed)
    assert (await stage.service.get(path))["balance"] == "0"


async def test_a_token_that_renames_itself_is_told_and_served_with_its_new_name(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with world() as home:
        token = await deploy(home.anvil, "BoastfulToken")
        say = token.contract.data("say", bytes.fromhex("95d89b41"), b"")[:10]

        async def rename(name: str) -> None:
            text = encode(["string"], [name])
            data = say + encode(["bytes4", "bytes"], [bytes.fromhex("95d89b41"), text]).hex()
            await home.anvil.send(token.address, data=data)
            await home.anvil.mine()

        await rename("OLD")
        table = home.table(token.address, sync_interval_seconds=1)
        config = home.config(tmp_path_factory.mktemp("renamed"), chains={"first": table}, store={"url": "memory"})
        async with running(config) as service, service.subscribed() as subscriber:
            assert (await service.balance("first", token.address, home.acme))["tokenSymbol"] == "OLD"
            await rename("NEW")
            event = await subscriber.heard(tokenAddress=token.address, solverAddress=home.acme, tokenSymbol="NEW")
            assert (event["data"]["cause"], event["data"]["changeAmount"]) == ("sync", "0")
            assert (await service.balance("first", token.address, home.acme))["tokenSymbol"] == "NEW"
            newest, *_, oldest = await service.history("first", token.address, home.acme)
            assert (newest["tokenSymbol"], oldest["tokenSymbol"]) == ("NEW", "OLD")
            listed = (await service.get("/tokens"))["items"]
            assert [item["tokenSymbol"] for item in listed] == ["NEW"]
            assert len(await service.says("token_changed")) == 1
