"""A real Chromium, driven over the DevTools protocol: as much of it as the page's tests need."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.fixtures.children import launched

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)
PATIENCE_SECONDS = 40.0


def find_chromium() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Tab:
    """One page, and everything that it complained about."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.complaints: list[str] = []
        self._socket = socket
        self._session: str | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())

    async def attach(self) -> str:
        """The context that it is in, and nothing else."""
        context: str = (await self.send("Target.createBrowserContext"))["browserContextId"]
        target = await self.send("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.send(f"{domain}.enable")
        return context

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json(message if self._session is None else {**message, "sessionId": self._session})
        return await asyncio.wait_for(answer, PATIENCE_SECONDS)

    async def open(self, url: str) -> None:
        await self.send("Page.navigate", url=url)

    async def size(self, width: int, height: int, *, is_phone: bool = False) -> None:
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone
        )

    async def dark(self) -> None:
        await self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited where it is a promise."""
        answer = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, script: str, seconds: float = PATIENCE_SECONDS) -> Any:
        """The value of the expression, once it is something."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (value := await self.run(f"({script}) || null")) is None:
            assert asyncio.get_running_loop().time() < deadline, f"never true: {script}; {self.complaints}"
            await asyncio.sleep(0.02)
        return value

    async def text(self, selector: str) -> str:
        return str(await self.run(f"document.querySelector({selector!r})?.innerText ?? ''"))

    async def screenshot(self) -> bytes:
        picture = await self.send("Page.captureScreenshot", format="png")
        return base64.b64decode(picture["data"])

    async def leave(self, context: str) -> None:
        self._session = None
        await self.send("Target.disposeBrowserContext", browserContextId=context)
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        async for frame in self._socket:
            message = frame.json()
            if (waiting := self._waiting.pop(message.get("id"), None)) is not None:
                if "error" in message:
                    waiting.set_exception(AssertionError(message["error"]))
                else:
                    waiting.set_result(message["result"])
            else:
                self._note(message.get("method"), message.get("params", {}))

    def _note(self, method: str | None, parameters: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown":
                self.complaints.append(str(parameters["exceptionDetails"]))
            case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                entry = parameters["entry"]
                self.complaints.append(f"{entry['text']} {entry.get('url', '')}")
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(parameters["args"]))
            case _:
                pass


@asynccontextmanager
async def opened(devtools: str) -> AsyncIterator[Tab]:
    """A tab that shares no storage with any other of the same browser."""
    async with aiohttp.ClientSession() as session, session.ws_connect(devtools, max_msg_size=0) as socket:
        tab = Tab(socket)
        context = await tab.attach()
        try:
            yield tab
        finally:
            await tab.leave(context)


@contextmanager
def browser(program: str) -> Iterator[str]:
    """Chromium with a fresh profile; gone, with all its children, at the end. Yields where its DevTools are."""
    profile = Path(tempfile.mkdtemp(prefix="chromium-"))
    process = launched((program, *FLAGS, f"--user-data-dir={profile}", "about:blank"))
    try:
        port, path = _devtools(profile, process)
        yield f"ws://127.0.0.1:{port}{path}"
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(profile, ignore_errors=True)


def _devtools(profile: Path, process: subprocess.Popen[bytes]) -> tuple[str, str]:
    """Chromium writes the port it chose, and then the path, into its profile."""
    deadline = time.monotonic() + PATIENCE_SECONDS * 2
    while True:
        assert process.poll() is None, f"Chromium ended with {process.returncode}"
        assert time.monotonic() < deadline, "Chromium does not open its DevTools port"
        lines = (profile / "DevToolsActivePort").read_text().split() if _is_there(profile) else []
        if len(lines) == 2:
            return lines[0], lines[1]
        time.sleep(0.02)


def _is_there(profile: Path) -> bool:
    return (profile / "DevToolsActivePort").exists()
