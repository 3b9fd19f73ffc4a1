"""More clients than files: those there is no room for are refused with a word, and everybody else is served."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.service import Running, running
from tests.e2e.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

FILES = 320
CLIENTS = 400


async def test_the_limit_of_open_files_is_raised_at_start(home: World, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1_024), hard))  # which children inherit
    try:
        async with running(home.config(tmp_path, store={"url": "memory"}), ready=False) as service:
            assert resource.prlimit(service.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_more_clients_than_files_are_refused_and_the_others_are_served(home: World, tmp_path: Path) -> None:
    async with running(home.config(tmp_path), files=FILES) as service, AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        first = await stack.enter_async_context(service.subscribed())
        clients: list[aiohttp.ClientWebSocketResponse] = []
        refused: Counter[int] = Counter()

        async def come() -> None:
            try:
                clients.append(await session.ws_connect(f"{service.url}/ws"))
            except aiohttp.WSServerHandshakeError as error:
                refused[error.status] += 1

        for _ in range(0, CLIENTS, 20):
            await asyncio.gather(*(come() for _ in range(20)))
        (line,) = service.said("few_files")
        assert len(clients) + 1 == line["websockets"]
        assert refused == {503: CLIENTS - len(clients)}
        assert _files(service) < FILES - 50
        await _answers(service)
        await home.token.send("mint", home.cold, 1)
        await home.anvil.mine()
        await service.followed(home.anvil)
        held = await service.balance(home.anvil.chain_id, home.token.address, home.cold)
        await first.heard(newBalance=held["balance"])


async def test_connections_that_say_nothing_use_up_no_files(home: World, tmp_path: Path) -> None:
    async with running(home.config(tmp_path), files=FILES) as service:
        host, _, port = service.url.removeprefix("http://").partition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(CLIENTS)]
        assert _files(service) < FILES - 50
        await _answers(service)
        for _, writer in silent:
            writer.close()


def _files(service: Running) -> int:
    return sum(1 for _ in Path(f"/proc/{service.pid}/fd").iterdir())


async def _answers(service: Running) -> None:
    status, _ = await service.call("GET", "/health")
    assert status == 200
    assert await service.is_ready()
