"""Nothing that tests started is left behind, not even when they are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from repositories.left_over import left_over
from tests.fixtures.nats import find_nats_server
from tests.page.chromium import find_chromium

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child whose parent died")

_TESTS = """
import asyncio, threading
from pathlib import Path
{start}
async def main():
    print(await start(), flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
MONGOD = """
from tests.fixtures.mongo import KillableMongod
async def start():
    mongod = KillableMongod(Path.cwd())
    thread = threading.Thread(target=mongod.start)
    thread.start()
    thread.join()
    return mongod._process.pid
"""
NATS = """
from tests.fixtures.nats import NatsServer
server = NatsServer(Path.cwd())
async def start():
    await server.start()
    return server._process.pid
"""
CHROMIUM = """
from tests.page.chromium import browser, find_chromium
opened = browser(find_chromium())
async def start():
    opened.__enter__()
    return "".join((thread / "children").read_text() for thread in Path("/proc/self/task").iterdir())
"""
SERVICE = """
from tests.e2e.service import Config, Running
service = Running(Config(Path.cwd(), chains={"one": {"chain_id": 1, "rpc_urls": ["http://127.0.0.1:9"]}}))
async def start():
    await service.launch()
    while not service.said("listening"):
        await asyncio.sleep(0.05)
    return service.pid
"""


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(MONGOD, marks=pytest.mark.mongo),
        pytest.param(NATS, marks=[pytest.mark.nats, pytest.mark.skipif(not find_nats_server(), reason="no nats")]),
        pytest.param(CHROMIUM, marks=[pytest.mark.page, pytest.mark.skipif(not find_chromium(), reason="no Chromium")]),
        pytest.param(SERVICE, marks=[pytest.mark.e2e, pytest.mark.mongo]),
    ],
    ids=["mongod", "nats-server", "chromium", "service"],
)
async def test_what_killed_tests_had_started_ends_with_them_and_not_before(tmp_path: Path, start: str) -> None:
    tests = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _TESTS.format(start=start)),
        stdout=asyncio.subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert tests.stdout is not None
        pid = int(await asyncio.wait_for(tests.stdout.readline(), 60))
        store = left_over(tmp_path / "data" / "mongo")
        assert (store is not None) == (start is SERVICE)
        await asyncio.sleep(0.3)
        assert _runs(pid), "it ended though nobody was killed"
    finally:
        os.kill(tests.pid, signal.SIGKILL)
        await tests.wait()
    left = [pid, *([] if store is None else [store])]
    deadline = time.monotonic() + 20
    while any(map(_runs, left)) and time.monotonic() < deadline:  # noqa: ASYNC110 - nobody tells us
        await asyncio.sleep(0.02)
    left = [each for each in left if _runs(each)]
    for each in left:
        os.kill(each, signal.SIGKILL)
    assert not left, "it was left behind"


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
