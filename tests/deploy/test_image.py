"""There is no Docker where the tests run: these read the promises off the files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from indexer.config import load

ROOT = Path(__file__).resolve().parents[2]


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def final_stage() -> dict[str, str]:
    steps = instructions()
    last = max(index for index, (word, _) in enumerate(steps) if word == "FROM")
    return dict(steps[last:])


def test_the_image_is_built_in_two_stages_on_one_base() -> None:
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert bases == ["python:3.11-slim-bookworm"] * 2


def test_the_final_stage_runs_the_service_as_nobody_special_and_is_looked_after() -> None:
    stage = final_stage()
    assert stage["USER"] == "10001"
    assert "/health" in stage["HEALTHCHECK"]
    assert stage["VOLUME"] == "/data"
    assert (stage["ENTRYPOINT"], stage["CMD"]) == ('["indexer"]', '["run", "--config", "/config/chains.toml"]')


def test_the_final_stage_holds_no_build_tools_and_no_secrets() -> None:
    installed = final_stage()["RUN"]
    assert not re.search(r"\b(gcc|g\+\+|build-essential|pip|git|make|npm)\b", installed)
    assert "[dev]" not in (ROOT / "Dockerfile").read_text()
    assert not re.search(r"(?i)(ARG|ENV)\s.*(secret|password|token|api_key)", (ROOT / "Dockerfile").read_text())


def test_everything_that_is_copied_exists_and_is_let_through() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        name
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    }
    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)


def test_the_extras_of_the_image_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = re.search(r'"\.\[(.+)\]"', (ROOT / "Dockerfile").read_text())
    assert wanted is not None
    assert set(wanted[1].split(",")) <= set(project["optional-dependencies"])


def test_the_configuration_of_the_compose_file_is_valid() -> None:
    environ = {"ETHEREUM_RPC_URL": "https://node.example", "INDEXER_KEY": "k" * 32}
    settings = load(ROOT / "deploy" / "chains.compose.toml", environ)
    assert str(settings.service.data_dir) == final_stage()["VOLUME"]
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    assert all(f"{name}: ${{{name}" in compose for name in (*environ, "ETHEREUM_WS_URL"))
