"""`indexer run` as a process of its own: its configuration, its log, its answers, and every way to end it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from indexer.demo.anvil import Anvil
from indexer.demo.children import with_parent
from repositories.left_over import left_over
from tests.e2e.listening import Subscriber

Json = dict[str, Any]

READY_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass(frozen=True)
class Config:
    """A `chains.toml`; every value is written as JSON, which TOML reads as well."""

    folder: Path
    chains: Mapping[str, Json] = field(default_factory=dict)
    solvers: Mapping[str, Json] = field(default_factory=dict)
    exchanges: Mapping[str, Json] = field(default_factory=dict)
    service: Json = field(default_factory=dict)
    store: Json = field(default_factory=dict)
    keys: Sequence[Json] = ()
    """API keys."""
    nats: Json = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder / "chains.toml"

    @property
    def data_dir(self) -> Path:
        return Path(self.service.get("data_dir", self.folder / "data"))

    def but(self, **parts: Any) -> Config:
        return replace(self, **parts)

    def write(self) -> Path:
        service = {"port": 0, "log_format": "json", "data_dir": str(self.data_dir), **self.service}
        tables: Json = {"service": service, "store": self.store, "nats": self.nats}
        tables |= {f"chains.{name}": table for name, table in self.chains.items()}
        tables |= {f"solvers.{name}": table for name, table in self.solvers.items()}
        tables |= {f"exchanges.{name}": table for name, table in self.exchanges.items()}
        lines = []
        for name, table in tables.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()), ""]
        for key in self.keys:
            lines += ["[[service.api_keys]]", *(f"{name} = {json.dumps(value)}" for name, value in key.items()), ""]
        self.folder.mkdir(parents=True, exist_ok=True)
        # In one step, as an editor does it: the service looks at the file while it is written.
        draft = self.path.with_suffix(".draft")
        draft.write_text("\n".join(lines))
        draft.replace(self.path)
        return self.path


def chain_table(anvil: Anvil, *, ws: bool = True, **more: Any) -> Json:
    return {
        "chain_id": anvil.chain_id,
        "rpc_urls": [anvil.http_url],
        "ws_urls": [anvil.ws_url] if ws else [],
        **more,
    }


async def until(
    check: Callable[[], Awaitable[Any]] | Callable[[], Any], seconds: float = 40.0, every: float = 0.02
) -> Any:
    """What `check` says, once that is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {getattr(check, '__qualname__', check)}"
        await asyncio.sleep(every)


class Running:
    """One life of the service after another on the same configuration."""

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str] | None = None,
        *,
        key: str | None = None,
        files: int | None = None,
    ) -> None:
        self.config = config
        # How many files it may have open; as many as we, if nothing is said.
        self._limited = () if files is None else ("sh", "-c", f'ulimit -n {files} && exec "$@"', "sh")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.log: list[Json] = []
        self.raw: list[str] = []
        self.url = ""
        self._environ = {**os.environ, **(environ or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._http = await self._stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20), headers=self._headers)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.alive:
                await self.kill()
        finally:
            await self._stack.aclose()
            end_mongod(self.config)
        if error is not None:
            print("\n".join(self.raw[-60:]))  # noqa: T201 - pytest shows it beside the failure

    # --- life --------------------------------------------------------------------------------------------------------

    async def launch(self) -> None:
        """Start the process, and wait for nothing."""
        self.config.write()
        self._process = await asyncio.create_subprocess_exec(
            *(*self._limited, sys.executable, "-m", "indexer", "run", "--config", str(self.config.path)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=self._environ,
            preexec_fn=with_parent(signal.SIGTERM),  # its own mongod ends with it, then
        )
        self.log, self.url = [], ""
        self._reading = asyncio.create_task(self._read(self._process))

    async def start(self, *, ready: bool = True) -> None:
        await self.launch()
        await until(lambda: self.said("listening") or not self.alive, READY_SECONDS)
        assert self.said("listening"), self.raw[-20:]
        self.url = self.said("listening")[0]["url"]
        if ready:
            await self.ready()

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code."""
        self.ask_to_end(number)
        return await self.ended()

    def ask_to_end(self, number: signal.Signals = signal.SIGTERM) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        await self.end(signal.SIGKILL)

    async def ended(self, seconds: float = STOP_SECONDS) -> int:
        assert self._process is not None
        assert self._reading is not None
        async with asyncio.timeout(seconds):
            code = await self._process.wait()
            await self._reading
        return code

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def hang_up(self) -> None:
        os.kill(self.pid, signal.SIGHUP)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            text = line.decode().rstrip()
            self.raw.append(text)
            try:
                self.log.append(json.loads(text))
            except ValueError:
                self.log.append({"event": text})

    # --- asking ------------------------------------------------------------------------------------------------------

    def said(self, event: str, **keys: Any) -> list[Json]:
        """The lines of this life's log with that event and these keys."""
        return [line for line in self.log if line["event"] == event and all(line.get(key) == keys[key] for key in keys)]

    async def says(self, event: str, times: int = 1, **keys: Any) -> list[Json]:
        """The same once there are as many: a frame or an answer may reach a test before the line that tells of it."""
        await until(lambda: len(self.said(event, **keys)) >= times)
        return self.said(event, **keys)

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **query: Any
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        params = {name: str(value) for name, value in query.items()}
        data = None if body is None else {"json": body}
        async with self._http.request(
            method, f"{self.url}{path}", params=params, headers=headers, **(data or {})
        ) as answer:
            text = await answer.text()
        return answer.status, json.loads(text) if text else None

    async def get(self, path: str, **query: Any) -> Any:
        """The answer of a call under `/api/v1` that must succeed."""
        status, answer = await self.call("GET", f"/api/v1{path}", **query)
        assert status == 200, (status, answer)
        return answer

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        return await self.call("POST", f"/api/v1{path}", {} if body is None else body)

    async def delete(self, path: str) -> int:
        return (await self.call("DELETE", f"/api/v1{path}"))[0]

    async def metric(self, name: str) -> float:
        """The value of the line that begins so; 0 where there is none."""
        async with self._http.get(f"{self.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)

    async def is_ready(self, chain: str | int | None = None) -> bool:
        query: Json = {} if chain is None else {"chain": chain}
        try:
            status, _ = await self.call("GET", "/ready", **query)
        except aiohttp.ClientError:
            return False
        return status == 200

    async def ready(self, chain: str | int | None = None) -> None:
        await until(lambda: self.is_ready(chain), READY_SECONDS)

    async def balance(self, chain: str | int, token: str, solver: str, **query: Any) -> Json:
        found: Json = await self.get(f"/balances/{chain}/{token}/{solver}", **query)
        return found

    async def history(self, chain: str | int, token: str, solver: str) -> list[Json]:
        """All of it, newest first, page by page."""
        items: list[Json] = []
        query: Json = {"limit": 1000}
        while True:
            page = await self.get(f"/balances/{chain}/{token}/{solver}/history", **query)
            items += page["items"]
            if page["next"] is None:
                return items
            query = {"limit": 1000, "cursor": page["next"]}

    async def stream(self, chain_id: int) -> Json:
        status = await self.get("/status")
        found: Json = status["streams"][f"chain:{chain_id}"]
        return found

    async def events(self, stream: str, after: int = 0) -> list[Json]:
        """Every event of the stream, as those get it who poll."""
        items: list[Json] = []
        while True:
            page = await self.get("/events", stream=stream, after=after, limit=1000)
            items += page["items"]
            if not page["items"] or page["next"] is None:
                return items
            after = page["items"][-1]["seq"]

    async def followed(self, anvil: Anvil) -> int:
        """Wait until the chain's newest block is handled; its number."""
        newest = int((await anvil.block())["number"], 16)

        async def there() -> bool:
            stream = await self.stream(anvil.chain_id)
            return bool(stream["block"] == newest)

        await until(there)
        return newest

    @asynccontextmanager
    async def subscribed(self, **request: Any) -> AsyncIterator[Subscriber]:
        async with self._http.ws_connect(f"{self.url}/ws", max_msg_size=0) as socket:
            subscriber = Subscriber(socket)
            await subscriber.subscribe(**request)
            try:
                yield subscriber
            finally:
                await subscriber.close()


def end_mongod(config: Config) -> None:
    """The private `mongod` of a service that was killed."""
    pid = left_over(config.data_dir.resolve() / "mongo")
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while left_over(config.data_dir.resolve() / "mongo") == pid and time.monotonic() < deadline:
            time.sleep(0.02)


@asynccontextmanager
async def running(
    config: Config,
    *,
    ready: bool = True,
    environ: Mapping[str, str] | None = None,
    key: str | None = None,
    files: int | None = None,
) -> AsyncIterator[Running]:
    """A service that was started; ended, however the test ends."""
    async with Running(config, environ, key=key, files=files) as service:
        await service.start(ready=ready)
        yield service


async def run_to_its_end(config: Config, environ: Mapping[str, str] | None = None) -> tuple[int, Running]:
    """A start that must fail by itself: the exit code, and what was said."""
    async with Running(config, environ) as service:
        await service.launch()
        return await service.ended(READY_SECONDS), service
