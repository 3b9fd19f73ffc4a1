"""Recognises a `mongod` that a killed service left running on our data."""

from __future__ import annotations

import os
from pathlib import Path


def left_over(data: Path) -> int | None:
    """The pid of a `mongod` that runs on this folder; it writes its pid there itself."""
    try:
        pid = int((data / "mongod.lock").read_text())
    except (OSError, ValueError):
        return None
    return pid if is_ours(pid, data) else None


def is_ours(pid: int, data: Path) -> bool:
    """Whether this pid is (still, or again) a `mongod` on this folder, and not somebody else's process."""
    arguments = _arguments(pid)
    return b"--dbpath" in arguments and os.fsencode(data) in arguments


def is_in_set(pid: int) -> bool:
    """Whether an older release started it, which ran it as a replica set of one."""
    return b"--replSet" in _arguments(pid)


def port_of(pid: int) -> int:
    arguments = _arguments(pid)
    return int(arguments[arguments.index(b"--port") + 1])


def _arguments(pid: int) -> list[bytes]:
    """Of a running process; none of one that is gone, a zombie, or not ours to look at.

    As bytes: a path may be of any, and one read under another locale would look like another.
    """
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
