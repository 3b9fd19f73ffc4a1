"""Who is answered at the address that the service listens at."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from indexer.app import Service
from indexer.config import load
from tests.app.test_keys import CHAIN, key

SOLVER = {"name": "mallory", "address": "0x" + "77" * 20}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chains.toml"


def write(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.mark.parametrize(
    "lines",
    ["", "allow_anonymous = true\n", "host = 'LOCALHOST'\n", "host = '0:0:0:0:0:0:0:1'\nallow_anonymous = true\n"],
)
async def test_on_loopback_without_keys_no_foreign_name_is_answered(path: Path, lines: str) -> None:
    write(path, CHAIN.replace("[service]\n", f"[service]\n{lines}"))
    foreign = {"Host": "evil.example", "Origin": "http://evil.example"}
    async with Service(load(path, {})) as service, aiohttp.ClientSession(service.url) as http:
        answer = await http.post("/api/v1/solvers", json=SOLVER, headers=foreign)
        assert answer.status == 403
        assert "as localhost" in (await answer.json())["detail"]
        assert (await http.get("/api/v1/status", headers={"Host": "desk.localhost"})).status == 200


async def test_a_key_is_what_a_proxy_on_this_machine_asks_with(path: Path) -> None:
    write(path, CHAIN + key("proxy"))
    headers = {"Host": "desk.example", "Origin": "https://desk.example", "Authorization": "Bearer key-of-proxy"}
    async with Service(load(path, {})) as service, aiohttp.ClientSession(service.url) as http:
        assert (await http.get("/api/v1/status", headers=headers)).status == 200
        async with http.ws_connect("/ws", headers=headers) as socket:
            await socket.send_json({"op": "ping"})
            assert await socket.receive_json() == {"type": "pong"}


async def test_a_host_that_waits_for_a_restart_does_not_lift_the_guard(path: Path) -> None:
    write(path, CHAIN)
    async with Service(load(path, {})) as service, aiohttp.ClientSession(service.url) as http:
        write(path, CHAIN.replace("[service]\n", "[service]\nhost = '0.0.0.0'\nallow_anonymous = true\n"))
        await service.control.reload()
        assert (await http.get("/api/v1/status", headers={"Host": "evil.example"})).status == 403


async def test_keys_stay_until_the_host_that_needs_none_is_listened_at(path: Path) -> None:
    write(path, CHAIN.replace("[service]\n", "[service]\nhost = '0.0.0.0'\n") + key("desk"))
    async with Service(load(path, {})) as service:
        write(path, CHAIN)
        await service.control.reload()
        url = (service.url or "").replace("0.0.0.0", "127.0.0.1")
        async with aiohttp.ClientSession(url, headers={"X-API-Key": "key-of-desk"}) as http:
            assert (await http.get("/api/v1/status", headers={"X-API-Key": ""})).status == 401
            assert (await http.get("/api/v1/status")).status == 200
