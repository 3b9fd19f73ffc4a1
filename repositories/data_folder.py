"""The folder that an embedded store lives in: one service at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.errors import StoreUnusable


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes the folder and holds it; the kernel lets go of it however we end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Not inherited by children, so that a mongod that outlives us does not hold the folder.
        lock = os.open(folder / "service.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreUnusable(
            f"service.data_dir {folder} cannot be written: {error.strerror}; change its owner or rights, or the setting"
        ) from error
    try:
        _hold(lock, folder)
        yield
    finally:
        os.close(lock)


def _hold(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode(errors="replace").strip() or "unknown"
        raise StoreUnusable(
            f"service.data_dir {folder} is used by another service (pid {holder}); stop that one, "
            "or give this one a data_dir of its own"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
