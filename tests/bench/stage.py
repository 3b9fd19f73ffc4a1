"""What benchmarks stand on: a mongod, chains with tokens, and the service as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from indexer.addresses import checksum
from indexer.demo.anvil import Anvil
from indexer.demo.children import with_parent
from indexer.demo.contracts import Deployed, deploy
from indexer.domain.chain import Address
from repositories.mongod import Mongod, find_mongod

LONGEST: Final = 120.0
"""Seconds that anything may take."""

STOP_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain as the service is told of it."""

    anvil: Anvil
    tokens: tuple[Deployed, ...]
    rpc_url: str = ""
    """Another way to the same node, such as through a proxy that counts."""

    @property
    def name(self) -> str:
        return f"c{self.anvil.chain_id}"

    @property
    def stream(self) -> str:
        return f"chain:{self.anvil.chain_id}"


@dataclass(frozen=True, slots=True)
class Running:
    """A service that runs, with who talks to it."""

    url: str
    pid: int
    started: float
    http: aiohttp.ClientSession

    async def get(self, path: str) -> Any:
        async with self.http.get(self.url + path) as answer:
            return orjson.loads(await answer.read())

    async def is_ready(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with self.http.get(self.url + "/ready") as answer:
                return answer.status == 200
        return False

    async def reached(self, stream: str, block: int) -> bool:
        found = (await self.get("/api/v1/status"))["streams"].get(stream, {})
        return (found.get("block") or 0) >= block

    def megabytes(self) -> float:
        """Its resident memory, and nothing of its children's."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0


def wallets(count: int, family: int = 0xB0B) -> list[Address]:
    """Addresses that nobody holds the keys of."""
    return [checksum(f"0x{family:08x}{number * 2_654_435_761 % 2**32:08x}{number:024x}") for number in range(count)]


def configuration(
    chains: Sequence[Chain], watched: Sequence[Address], *, store: str, data_dir: Path, database: str = "bench"
) -> str:
    """A chains.toml; every wallet is watched on every chain."""
    parts = [
        f'[service]\nport = 0\ndata_dir = "{data_dir}"\nlog_format = "json"\n',
        f'[store]\nurl = "{store}"\ndatabase = "{database}"\n',
    ]
    for chain in chains:
        tokens = ", ".join(f'"{token.address}"' for token in chain.tokens)
        parts.append(
            f"[chains.{chain.name}]\nchain_id = {chain.anvil.chain_id}\n"
            f'rpc_urls = ["{chain.rpc_url or chain.anvil.http_url}"]\nws_urls = ["{chain.anvil.ws_url}"]\n'
            f"tokens = [{tokens}]\n"
        )
    parts += [f'[solvers.w{number}]\naddress = "{wallet}"\n' for number, wallet in enumerate(watched)]
    return "\n".join(parts)


@contextlib.asynccontextmanager
async def running_chain(chain_id: int, tokens: int) -> AsyncIterator[Chain]:
    async with Anvil(chain_id=chain_id) as anvil:
        named = [await deploy(anvil, "PlainToken", f"Token {n}", f"TK{n}", 6) for n in range(tokens)]
        yield Chain(anvil, tuple(named))


@contextlib.asynccontextmanager
async def running_mongod() -> AsyncIterator[str]:
    """As the embedded store runs it; yields its URL."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        mongod = Mongod(find_mongod(), Path(folder))
        try:
            await mongod.start()
            yield mongod.url
        finally:
            await mongod.stop()


@contextlib.asynccontextmanager
async def running_service(text: str, folder: Path, *, ready: bool = True) -> AsyncIterator[Running]:
    """`indexer run` on this configuration, ready; ended by SIGTERM as an operator would."""
    config = folder / "chains.toml"
    config.write_text(text)
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "indexer", "run", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=with_parent(signal.SIGTERM),
    )
    reading: asyncio.Task[None] | None = None
    said: list[bytes] = []
    try:
        url = await _listening(process, said)
        reading = asyncio.create_task(_keep(process, said))
        async with aiohttp.ClientSession() as http:
            service = Running(url, process.pid, started, http)
            if ready:
                await until(service.is_ready)
            yield service
            if process.returncode is not None:
                raise RuntimeError(f"the service ended: {_text(said)}")
    except (OSError, TimeoutError, aiohttp.ClientError) as error:
        raise RuntimeError(f"the service did not do its part: {_text(said)}") from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
        if reading is not None:
            await reading


async def until(condition: Callable[[], Awaitable[bool]], *, every: float = 0.01) -> None:
    """Return once it holds; asked too often, a service that is measured for seconds has a tenth of its work in that."""
    deadline = time.monotonic() + LONGEST
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the benchmark waited in vain")
        await asyncio.sleep(every)


async def _listening(process: asyncio.subprocess.Process, said: list[bytes]) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        said.append(line)
        with contextlib.suppress(orjson.JSONDecodeError):
            told = orjson.loads(line)
            if told.get("event") == "listening":
                return str(told["url"])
    raise RuntimeError(f"the service ended: {_text(said)}")


def _text(said: Sequence[bytes]) -> str:
    return b"".join(said[-20:]).decode(errors="replace")


async def _keep(process: asyncio.subprocess.Process, said: list[bytes]) -> None:
    """Its log, so that the pipe never fills."""
    assert process.stdout is not None
    async for line in process.stdout:
        said.append(line)
        del said[:-200]
