"""Signals that come before a service has handlers of its own, at the moment in which its imports begin."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_SCRIPT = """
import os, sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from indexer import cli

class First(MetaPathFinder, Loader):
    # stands for the first module of ours that a command imports
    def find_spec(self, name, path, target=None):
        return ModuleSpec(name, self) if name.startswith("indexer.") else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        if sys.argv[3] == "text":
            exec("os.kill(os.getpid(), int(sys.argv[1]))", globals())  # as within a dataclass that is being made
        else:
            type("Thrown", (), {"__del__": lambda _: os.kill(os.getpid(), int(sys.argv[1]))})()
        module.build_parser = lambda environ: SimpleNamespace(parse_args=lambda argv: None)
        module.perform = lambda args: 1

sys.meta_path.insert(0, First())
sys.exit(cli.main([sys.argv[2]]))
"""


@pytest.mark.parametrize("command", ["run", "demo"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGHUP, 1)], ids=["term", "int", "hup"]
)
@pytest.mark.parametrize("place", ["text", "finalizer"])
def test_a_start_is_ended_in_order_and_not_by_a_hang_up(
    command: str, number: signal.Signals, code: int, place: str
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(int(number)), command, place], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (code, "")
