"""A real chain on this machine: anvil as a child process that always ends with us."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import platform
import shutil
import signal
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from indexer.demo.children import with_parent
from indexer.demo.tools import tool_roots

ENOUGH_GAS = 1_000_000
"""Sent along instead of an estimate, which would be made on a state that pending transactions still change."""

_BLOCK_GAS = 3_000_000_000
_STARTS = 5
_READY_SECONDS = 20.0
_FOLDER = "anvil-states-"
"""Where one keeps the states that it no longer holds in memory: 15 GB of a chain of 20,000 blocks. Left to itself, it
puts them below the home and never removes them."""


class AnvilMissing(Exception):
    """There is no anvil on this machine; the message says what to install."""


class AnvilFailed(Exception):
    """anvil did not start, ended, or refused a call."""


class Anvil:
    """One chain of our own; mines every `block_time` seconds, or only when asked."""

    def __init__(
        self,
        *,
        chain_id: int = 31337,
        block_time: float | None = None,
        port: int | None = None,
        gas_limit: int = _BLOCK_GAS,
        args: Sequence[str] = (),
    ) -> None:
        self.chain_id = chain_id
        self.block_time = block_time
        self.accounts: tuple[str, ...] = ()
        self._fixed_port = port
        self._port = port or 0
        self._gas_limit = gas_limit
        self._args = tuple(args)
        self._ids = itertools.count(1)
        self._process: asyncio.subprocess.Process | None = None
        self._folder: Path | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def port(self) -> int:
        return self._port

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise AnvilFailed("anvil is not running")
        return self._process.pid

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        binary = find_anvil()
        await asyncio.to_thread(_remove_what_the_dead_left)
        self._folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))
        self._http = aiohttp.ClientSession()
        try:
            await self._start_on_a_port(binary)
            self.accounts = tuple(await self.rpc("eth_accounts"))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the process, kindly at first, and remove what it wrote."""
        if self._http is not None:
            await self._http.close()
            self._http = None
        try:
            await self._end_process()
        finally:
            folder, self._folder = self._folder, None
            if folder is not None:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 3)
        except TimeoutError:
            process.kill()
            await process.wait()

    def suspend(self) -> None:
        """Freeze the process: connections stay open and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def rpc(self, method: str, *params: Any) -> Any:
        """The result of one JSON-RPC call; an error object is an `AnvilFailed`."""
        if self._http is None:
            raise AnvilFailed("anvil is not running")
        body = orjson.dumps({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params})
        async with self._http.post(self.http_url, data=body, headers={"content-type": "application/json"}) as response:
            answer = orjson.loads(await response.read())
        if "error" in answer:
            raise AnvilFailed(f"{method}: {answer['error'].get('message', answer['error'])}")
        return answer["result"]

    async def mine(self, blocks: int = 1) -> None:
        await self.rpc("anvil_mine", hex(blocks))

    async def reorg(self, depth: int, transactions: Sequence[tuple[dict[str, Any], int]] = ()) -> None:
        """Replace the newest `depth` blocks; each transaction goes into the new block of that offset."""
        await self.rpc("anvil_reorg", depth, [list(pair) for pair in transactions])

    async def set_balance(self, wallet: str, wei: int) -> None:
        await self.rpc("anvil_setBalance", wallet, hex(wei))

    async def send(
        self,
        to: str | None,
        *,
        data: str = "0x",
        value: int = 0,
        sender: str | None = None,
        gas: int = ENOUGH_GAS,
    ) -> str:
        """Hand in a transaction of an unlocked account and return its hash; it waits for a block."""
        transaction = {"from": sender or self.accounts[0], "data": data, "value": hex(value), "gas": hex(gas)}
        if to is not None:
            transaction["to"] = to
        return str(await self.rpc("eth_sendTransaction", transaction))

    async def block(self, tag: int | str = "latest") -> dict[str, Any]:
        """A block as the node tells it, transactions by hash."""
        found = await self.rpc("eth_getBlockByNumber", hex(tag) if isinstance(tag, int) else tag, False)
        return dict(found)

    async def _start_on_a_port(self, binary: Path) -> None:
        # Between finding a free port and anvil's binding it, somebody else may take it.
        for _ in range(1 if self._fixed_port else _STARTS):
            self._port = self._fixed_port or _free_port()
            if await self._launch(binary):
                return
        raise AnvilFailed(f"anvil did not start on 127.0.0.1:{self._port}; is the port taken?")

    async def _launch(self, binary: Path) -> bool:
        """Start it and wait until it answers; False when it ended first, as it does when the port is taken."""
        mining = ("--no-mining",) if self.block_time is None else ("--block-time", str(self.block_time))
        self._process = process = await asyncio.create_subprocess_exec(
            str(binary),
            *("--silent", "--host", "127.0.0.1", "--port", str(self._port), "--chain-id", str(self.chain_id)),
            *("--cache-path", str(self._folder), "--order", "fifo", "--gas-limit", str(self._gas_limit)),
            *(*mining, *self._args),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            # A session of its own: Ctrl-C reaches us alone, and we end it in our order.
            start_new_session=True,
            preexec_fn=with_parent(signal.SIGKILL),
        )
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        while process.returncode is None and asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(aiohttp.ClientError, OSError, ValueError):
                # Somebody else's node on that port would answer too, but with another chain id.
                if int(await self.rpc("eth_chainId"), 16) == self.chain_id and process.returncode is None:
                    return True
            await asyncio.sleep(0.02)
        return False


def find_anvil() -> Path:
    """The program itself rather than npm's node wrapper, which would stand between a signal and it."""
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system(), "")
    machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "")
    for root in tool_roots():
        native = root / "@foundry-rs" / f"anvil-{system}-{machine}" / "bin" / "anvil"
        if native.is_file():
            return native
    found = shutil.which("anvil")
    if found is None:
        raise AnvilMissing(
            "anvil is not installed: run `make setup`, or `npm install --prefix .tools @foundry-rs/anvil`, "
            "or put anvil of Foundry (https://getfoundry.sh) on the PATH"
        )
    return Path(found)


def _remove_what_the_dead_left() -> None:
    """A process that was killed hard could not remove its folder."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*-*"):
        owner = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if owner.isdigit() and not _runs(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
