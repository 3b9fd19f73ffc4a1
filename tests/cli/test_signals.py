"""Signals that come before a service has handlers of its own, at the moment in which its imports begin."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_SCRIPT = """
import os, sys
from indexer import cli
def perform(args):
    exec("os.kill(os.getpid(), int(sys.argv[1]))")  # as within a dataclass that is being made
    return 1
cli.perform = perform
sys.exit(cli.main([sys.argv[2]]))
"""


@pytest.mark.parametrize("command", ["run", "demo"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGHUP, 1)], ids=["term", "int", "hup"]
)
def test_a_start_is_ended_in_order_and_not_by_a_hang_up(command: str, number: signal.Signals, code: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(int(number)), command], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (code, "")
