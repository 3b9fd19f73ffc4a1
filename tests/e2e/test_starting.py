"""Who asks a service that has just begun: every account, solver and token of the file and of the store is there."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from indexer.demo.contracts import deploy
from indexer.demo.venue import Account, Venue
from tests.e2e.service import Config, Json, Running, until
from tests.e2e.world import World
from tests.fixtures.chain import wallets

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

IN_FILE = 40
ADDED = "added"
"""One account that only the store knows."""
NAMES = {ADDED, *(f"a{number:03}" for number in range(IN_FILE))}


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with Venue("okx", seed=1) as opened:
        opened.weights.enforced = False
        yield opened


def account_table(venue: Venue, account: Account) -> Json:
    words = {"apiKey": "api_key", "secret": "secret", "password": "password"}
    credentials = {words[word]: value for word, value in account.credentials.items()}
    return {"exchange": "okx", "wallets": ["unified"], "base_url": venue.url("okx"), **credentials}


def funded(venue: Venue, name: str) -> Account:
    account = venue.account("okx", name)
    venue.truth.deposit(account, "unified", "USDT", "1000")
    return account


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Asking:
    """All that can be asked of accounts, each question once, as soon as somebody answers at the address."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def all(self) -> list[Any]:
        questions = (
            self.snapshot(),
            self.snapshot(exchange="okx", account="a039"),
            self.snapshot(exchange="okx", account=ADDED),
            self.get("/api/v1/accounts?limit=1000"),
            self.get(f"/api/v1/accounts/okx/{ADDED}/balances"),
            self.get("/api/v1/accounts/okx/a039/balances/unified/USDT"),
            self.get("/api/v1/status"),
            self.get("/ready"),
        )
        return await asyncio.gather(*questions)

    async def get(self, path: str) -> tuple[int, Any]:
        while True:
            try:
                async with self._http.get(path) as answer:
                    return answer.status, await answer.json()
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.01)

    async def snapshot(self, **wanted: str) -> Json:
        while True:
            try:
                async with self._http.ws_connect("/ws", max_msg_size=0) as ws:
                    await ws.send_json({"op": "subscribe", "id": "1", "snapshot": True, "filters": [wanted]})
                    assert (await ws.receive_json())["type"] == "subscribed"
                    frame: Json = await ws.receive_json()
                    assert frame["type"] == "snapshot"
                    return frame
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.01)


def named(frame: Json) -> set[str]:
    return {item["account"] for item in frame["items"]}


async def test_whoever_connects_first_after_a_start_knows_every_account(venue: Venue, tmp_path: Path) -> None:
    accounts = {name: account_table(venue, funded(venue, name)) for name in sorted(NAMES - {ADDED})}
    port = free_port()
    config = Config(tmp_path, exchanges=accounts, service={"port": port})
    added = funded(venue, ADDED)
    async with Running(config) as service:
        await service.start()
        body = {"exchange": "okx", "name": ADDED, "credentials": added.credentials, "baseUrl": venue.url("okx")}
        status, _ = await service.post("/accounts", {**body, "wallets": ["unified"]})
        assert status == 201
        await service.ready()
        told = {f"exchange:okx:{name}" for name in NAMES}
        for ending in (signal.SIGTERM, signal.SIGKILL):
            await service.end(ending)
            await service.launch()
            async with asyncio.timeout(40), aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
                answers = await Asking(http).all()
            whole, of_file, of_store, listed, balances, amount, streams, ready = answers
            assert (named(whole), set(whole["positions"])) == (NAMES, told), ending
            assert (named(of_file), named(of_store)) == ({"a039"}, {ADDED})
            assert {one["name"] for one in listed[1]["items"]} == NAMES
            assert [one["asset"] for one in balances[1]["items"]] == ["USDT"]
            assert amount[0] == 200
            assert {stream for stream in told if "account" in streams[1]["streams"][stream]} == told
            assert all(streams[1]["streams"][stream]["seq"] > 0 for stream in told)
            assert ready[0] == 503
            service.url = (await service.says("listening"))[0]["url"]
            await service.ready()


async def test_whoever_connects_first_after_a_start_knows_every_balance_of_a_chain(home: World, tmp_path: Path) -> None:
    port, wallet = free_port(), wallets(1, 0x7700)[0]
    token = await deploy(home.anvil, "PlainToken", "Later", "LTR", 2)
    config = home.config(tmp_path, service={"port": port})
    filters: list[dict[str, str]] = [
        {},
        {"solver": wallet},
        {"token": token.address},
        {"chain": next(iter(config.chains))},
    ]
    async with Running(config) as service:
        await service.start()
        assert (await service.post("/solvers", {"name": "dune", "address": wallet}))[0] == 201
        body = {"chain": home.anvil.chain_id, "addresses": [token.address]}
        assert (await service.post("/tokens", body))[0] == 201
        count = len(home.solvers) + 1, len(home.table()["tokens"]) + 2  # one of each was added, and the native coin

        async def all_there() -> bool:
            return len((await service.get("/balances", limit=1000))["items"]) == count[0] * count[1]

        await until(all_there)
        for ending in (signal.SIGTERM, signal.SIGKILL):
            await service.end(ending)
            await service.launch()
            async with asyncio.timeout(40), aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
                asking = Asking(http)
                frames = await asyncio.gather(*(asking.snapshot(**one) for one in filters))
            found = [len(frame["items"]) for frame in frames]
            assert found == [count[0] * count[1], count[1], count[0], count[0] * count[1]], ending
            assert all(home.stream in frame["positions"] for frame in frames)
            service.url = (await service.says("listening"))[0]["url"]
            await service.ready()
