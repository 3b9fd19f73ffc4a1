from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from indexer.demo.anvil import Anvil, AnvilFailed
from indexer.demo.contracts import Deployed, deploy
from indexer.domain.chain import Address
from tests.fixtures.chain import wallets

pytestmark = pytest.mark.node

_PARENT = """
import asyncio
from indexer.demo.anvil import Anvil
async def main():
    async with Anvil() as anvil:
        print(anvil.pid, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_it_mines_only_when_asked(anvil: Anvil) -> None:
    await anvil.mine(3)
    assert (await anvil.block())["number"] == "0x3"


async def test_it_mines_by_itself_when_given_a_block_time() -> None:
    async with Anvil(chain_id=7, block_time=0.1) as anvil:
        async with asyncio.timeout(10):
            for _ in range(1000):
                if int((await anvil.block())["number"], 16) >= 3:
                    break
                await asyncio.sleep(0.02)
        assert await anvil.rpc("eth_chainId") == "0x7"


async def test_it_ends_with_the_block_that_started_it() -> None:
    async with Anvil() as anvil:
        pid = anvil.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a child whose parent died")
async def test_it_ends_even_when_its_parent_is_killed() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", _PARENT, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 20))
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    for _ in range(500):
        if not _runs(pid):
            break
        await asyncio.sleep(0.01)
    assert not _runs(pid)


async def test_the_states_it_writes_to_disk_are_gone_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with Anvil() as anvil:
        await anvil.mine(1500)
        assert any(path.is_file() for path in _below(tmp_path)), "nothing was written: the test shows nothing"
    assert _below(tmp_path) == []


async def test_what_a_killed_one_left_is_removed_by_the_next(tmp_path: Path) -> None:
    command = (sys.executable, "-c", _PARENT)
    there = os.environ | {"TMPDIR": str(tmp_path)}
    first = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=there)
    assert first.stdout is not None
    await asyncio.wait_for(first.stdout.readline(), 20)
    first.kill()
    await first.wait()
    left = _below(tmp_path)
    assert len(left) == 1
    second = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=there)
    assert second.stdout is not None
    await asyncio.wait_for(second.stdout.readline(), 20)
    now = _below(tmp_path)
    second.kill()
    await second.wait()
    assert len(now) == 1
    assert now != left


async def test_a_taken_port_is_said() -> None:
    async with Anvil() as first:
        with pytest.raises(AnvilFailed, match=str(first.port)):
            await Anvil(port=first.port, chain_id=5).start()


async def test_a_batch_moves_many_balances_in_one_transaction(anvil: Anvil, token: Deployed) -> None:
    many = wallets(50)
    await token.send("mintMany", many, 7, gas=10_000_000)
    await anvil.mine()
    assert [await token.balance(wallet) for wallet in many] == [7] * 50


async def test_a_payer_sends_the_native_coin_from_inside(anvil: Anvil, wallet: Address) -> None:
    payer = await deploy(anvil, "Payer")
    await payer.send("payMany", [wallet, wallet], 5, value=10)
    await anvil.mine()
    assert await anvil.rpc("eth_getBalance", wallet, "latest") == "0xa"


async def test_a_reorg_replaces_the_newest_blocks(anvil: Anvil) -> None:
    await anvil.mine(3)
    before = await anvil.block(2), await anvil.block(1)
    await anvil.reorg(2)
    assert (await anvil.block(2))["hash"] != before[0]["hash"]
    assert (await anvil.block(1))["hash"] == before[1]["hash"]


def _below(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
