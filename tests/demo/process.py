"""`indexer demo` as a process of its own, for those who look at it from outside."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from indexer.demo.children import with_parent


class Shown:
    """What it says, what it started, and how it ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def says(self, words: str, seconds: float = 40.0) -> str:
        """The first line with these words in it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            async for line in self.process.stdout:
                self.lines.append(line.decode().rstrip())
                if words in self.lines[-1]:
                    return self.lines[-1]
        raise AssertionError(f"never said {words!r}: {self.lines}")

    async def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        async with asyncio.timeout(30):
            out, _ = await self.process.communicate()
            self.lines += out.decode().splitlines()
            return await self.process.wait()

    def offspring(self) -> list[int]:
        """Every process that came from it, directly or not."""
        found, waiting = [], [self.process.pid]
        while waiting:
            tasks = Path(f"/proc/{waiting.pop()}/task")
            children = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
            found += children
            waiting += children
        return found


@asynccontextmanager
async def shown(data_dir: Path, port: int = 0) -> AsyncIterator[Shown]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "indexer", "demo", "--port", str(port), "--data-dir", str(data_dir)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=with_parent(signal.SIGTERM),
    )
    demo_ = Shown(process)
    try:
        yield demo_
    finally:
        if process.returncode is None:
            started = demo_.offspring()
            process.kill()
            await process.wait()
            for pid in started:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
