"""The folder that an embedded store lives in: one service at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from indexer.errors import StoreUnusable

FULL_BYTES: Final = 8_000_000
"""With less, a `mongod` may die while it makes its first files, or at the next ones."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes the folder and holds it; the kernel lets go of it however we end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Not inherited by children, so that a mongod that outlives us does not hold the folder.
        lock = os.open(folder / "service.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        _hold(lock, folder)
        yield
    finally:
        os.close(lock)


def full_disk(folder: Path) -> str:
    """What to add to a failure there that may be due to it: nothing, where there is room."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return ""
    return f"; only {free / 1e6:.1f} MB are free in {folder}: make room there" if free < FULL_BYTES else ""


def _hold(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode(errors="replace").strip() or "unknown"
        raise StoreUnusable(
            f"service.data_dir {folder} is used by another service (pid {holder}); stop that one, "
            "or give this one a data_dir of its own"
        ) from None
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> StoreUnusable:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    cure = "make room there" if is_full else "change its owner or rights, or the setting"
    return StoreUnusable(f"service.data_dir {folder} cannot be written: {error.strerror}; {cure}")
