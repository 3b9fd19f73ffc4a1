"""`indexer demo`, from the first line to the last: whatever it started ends with it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.demo.anvil import AnvilFailed, AnvilMissing
from indexer.demo.contracts import ContractsFailed
from indexer.demo.world import DemoWorld
from indexer.errors import Permanent, StoreUnusable, Transient

FOLDER = "demo-store"
"""Inside the data folder: what is emptied at every start must never be a real service's."""

Say = Callable[[str], None]


async def show(*, host: str, port: int, data_dir: Path, seed: int, say: Say) -> int:
    if problem := _taken(host, port):
        say(problem)
        return 1
    with _stoppable():
        try:
            return await _show(host=host, port=port, folder=_folder(data_dir), seed=seed, say=say)
        except asyncio.CancelledError:
            say("Stopped.")
            return 0
        except (AnvilMissing, AnvilFailed, ContractsFailed, Permanent, Transient) as error:
            say(f"The demo cannot run: {error}")
            return 1


async def _show(*, host: str, port: int, folder: Path, seed: int, say: Say) -> int:
    store = await _empty_store(folder, say)
    async with DemoWorld(seed=seed, say=say) as world:
        say("Starting the service ...")
        from indexer import app  # noqa: PLC0415 - takes a second, in which the chains already start

        settings = world.settings(host=host, port=port, data_dir=folder, store=store)
        world.start_traffic()
        code = await app.run(settings, started=lambda service: say(_welcome(service.url, world)))
        say("Stopping the chains ...")
    return code


async def _empty_store(folder: Path, say: Say) -> str:
    """The chains are new at every start, with another genesis: what an older demo remembered cannot be theirs."""
    from repositories.data_folder import locked  # noqa: PLC0415 - see above
    from repositories.mongod import Mongod, find_mongod  # noqa: PLC0415

    try:
        program = find_mongod()
    except StoreUnusable:
        say("There is no mongod on this machine: this demo keeps its balances in memory.")
        return "memory"
    say(f"Emptying the demo's store in {folder} (the chains are new at every start) ...")
    with locked(folder):
        if _was_left_running(folder):
            left_over = Mongod(program, folder)
            await left_over.start()
            await left_over.stop()
        shutil.rmtree(folder / "mongo", ignore_errors=True)
    return "embedded"


def _folder(data_dir: Path) -> Path:
    return data_dir.resolve() / FOLDER


def _was_left_running(folder: Path) -> bool:
    """A mongod empties its lock file when it ends in order; after a killed demo it may still be there."""
    lock = folder / "mongo" / "mongod.lock"
    return lock.is_file() and lock.stat().st_size > 0


def _welcome(url: str | None, world: DemoWorld) -> str:
    chains = " and ".join(f"{chain.plan.name!r}" for chain in world.chains)
    desks = " and ".join(str(account) for account in world.desks.accounts) if world.desks else "none"
    about = f"{len(world.solvers)} solvers on the chains {chains}, exchange accounts {desks}"
    return f"\n  {about}. Open {url}\n  Ctrl-C stops everything.\n"


def _taken(host: str, port: int) -> str | None:
    """Asked before anything is started or emptied."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            other = f"indexer demo --port {port + 1}"
            return f"Cannot listen on {host}:{port}: {error.strerror}. Free the port, or take another: {other}"
    return None


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM end it half-way too, before the service runs and takes them over."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None, "runs in a task"  # noqa: S101 - for mypy: a coroutine always does
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
