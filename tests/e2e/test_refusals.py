"""What cannot work ends at the start, soon, with exit code 1 or 2 and the name of what is wrong."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from repositories.left_over import left_over
from tests.e2e.service import Config, Running, run_to_its_end, running
from tests.e2e.world import World
from tests.fixtures.mongo import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]


def _reason(service: Running) -> str:
    (line,) = service.said("cannot_run")
    assert not [line for line in service.raw if "Traceback" in line]
    return str(line["reason"])


async def test_a_taken_port_is_named(home: World, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, service = await run_to_its_end(home.config(tmp_path, service={"port": port}))
    assert code == 1
    assert f"127.0.0.1:{port}" in _reason(service)
    assert left_over(service.config.data_dir / "mongo") is None


async def test_a_folder_that_cannot_be_written_is_named(home: World, tmp_path: Path) -> None:
    # Root may write everywhere, but not below a file.
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "data"
    code, service = await run_to_its_end(home.config(tmp_path, service={"data_dir": str(folder)}))
    assert code == 1
    assert str(folder) in _reason(service)


async def test_a_folder_in_use_is_refused_by_name_and_its_user_goes_on(home: World, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    async with running(home.config(tmp_path / "one", service={"data_dir": data})) as first:
        second = Running(home.config(tmp_path / "two", service={"data_dir": data}))
        # Not as a context: its end would end the first one's mongod.
        await second.launch()
        assert await second.ended(30) == 1
        assert data in _reason(second)
        assert str(first.pid) in _reason(second)
        await home.token.send("mint", home.cold, 1)
        await home.anvil.mine()
        await first.followed(home.anvil)
        assert await first.is_ready()


async def test_a_store_that_is_not_there_is_named(home: World, tmp_path: Path) -> None:
    port = free_port()
    url = f"mongodb://127.0.0.1:{port}"
    code, service = await run_to_its_end(home.config(tmp_path, store={"url": url}))
    assert code == 1
    assert f"127.0.0.1:{port}" in _reason(service)


async def test_a_file_with_mistakes_is_refused_with_all_of_them(tmp_path: Path) -> None:
    config = Config(
        tmp_path,
        chains={"first": {"chain_id": "one", "rpc_urls": []}, "second": {"chain_id": 2, "rpc_url": ["http://x"]}},
        solvers={"acme": {"address": "0x12"}},
        service={"prot": 1, "host": "0.0.0.0"},
    )
    config.write()
    for command in ("run", "check"):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "indexer", command, "--config", str(config.path)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        assert process.returncode == 2
        told = out.decode()
        for key in ("chains.first.chain_id", "chains.first.rpc_urls", "chains.second.rpc_url", "solvers.acme.address"):
            assert key in told
        assert "service.prot" in told
        assert "port" in told
