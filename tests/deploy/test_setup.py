from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "deploy" / "setup.sh"


def test_every_target_of_the_makefile_is_explained() -> None:
    inner = {"help", "lint", "style", "types"}
    rules = set(re.findall(r"^([a-z]+):(?!=)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)) - inner
    told = subprocess.run(["make", "-s", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True).stdout
    assert rules == set(re.findall(r"^make ([a-z]+)", told, flags=re.MULTILINE))


@pytest.mark.parametrize("script", [SETUP, ROOT / ".ci" / "run"])
def test_scripts_are_executable_and_stop_at_the_first_failure(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)


def test_a_part_that_there_is_not_is_refused_by_name() -> None:
    answer = subprocess.run([SETUP, "pyhton"], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "no such part: pyhton" in answer.stderr


def test_every_package_of_the_project_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {_name(line) for group in project["optional-dependencies"].values() for line in group}
    wanted |= {_name(line) for line in project["dependencies"]}
    locked = {_name(line) for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line}
    assert wanted - {_name(project["name"])} <= locked


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement)[0]).lower()
