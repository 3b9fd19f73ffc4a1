"""Where what is printed can't be written, that is told in one line, and the command has failed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ACME, Service, balance

CONFIG = '[chains.base]\nchain_id = 8453\nrpc_urls = ["http://a"]\n'
FULL = (1, "indexer: can't write to standard output: No space left on device\n")
INDEXER = "import sys; from indexer.cli import main; sys.exit(main())"


def printed_to(target: str, *argv: str, unbuffered: str = "") -> tuple[int, str]:
    script = f'exec "$0" -c "$1" "${{@:2}}" {target}'
    told = subprocess.run(
        ["bash", "-c", script, sys.executable, INDEXER, *argv],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
        env={"PYTHONUNBUFFERED": unbuffered, "PYTHONPATH": str(Path.cwd())},
    )
    return told.returncode, told.stderr


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "chains.toml"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["check", "--config", "FILE"],
        ["check", "--config", "nowhere.toml"],
        ["init", "--force", "--config", "FILE", "--chain", "name=base,rpc=http://a"],
    ],
)
def test_a_full_disk_is_told_in_one_line(file: Path, words: list[str], unbuffered: str) -> None:
    argv = [str(file) if word == "FILE" else word for word in words]
    told = printed_to(">/dev/full", *argv, unbuffered=unbuffered)
    assert told == FULL


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["balances"]])
async def test_an_answer_that_cannot_be_written_is_told_in_one_line(
    service: Service, words: list[str], unbuffered: str
) -> None:
    argv = [*words, "--url", service.url]
    told = await asyncio.to_thread(printed_to, ">/dev/full", *argv, unbuffered=unbuffered)
    assert told == FULL


def test_help_on_a_full_disk_is_no_success() -> None:
    assert printed_to(">/dev/full", "--help") == (
        1,
        "indexer: can't write to standard output: No space left on device\n",
    )


@pytest.mark.parametrize("words", [["--version"], ["check", "--config", "FILE"], ["--help"]])
def test_an_output_that_is_closed_cannot_be_written_either(file: Path, words: list[str]) -> None:
    assert printed_to(">&-", *[str(file) if word == "FILE" else word for word in words]) == (
        1,
        "indexer: can't write to standard output: Bad file descriptor\n",
    )


async def test_an_answer_to_a_closed_output_goes_nowhere_else(service: Service) -> None:
    """Its number is taken again, before a connection could."""
    code, told = await asyncio.to_thread(printed_to, ">&-", "balances", "--url", service.url)
    assert (code, told) == (1, "indexer: can't write to standard output: Bad file descriptor\n")


def test_a_service_needs_no_output(tmp_path: Path) -> None:
    """It says what there is to say in its log: here, that there is no file."""
    code, told = printed_to(">&-", "run", "--config", str(tmp_path / "none.toml"))
    assert code == 2
    assert "no such file" in told


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
async def test_what_an_output_cannot_hold_is_written_as_escapes(service: Service, encoding: str) -> None:
    service.balances = [balance(tokenSymbol="₮é\U0001f600")]
    for json_too in ([], ["--json"]):
        told = await asyncio.to_thread(printed, encoding, "balances", *json_too, "--url", service.url)
        assert (told.returncode, told.stderr) == (0, b"")
        text = told.stdout.decode(encoding)
        if json_too:
            assert json.loads(text)["items"] == service.balances
            assert ("₮é\U0001f600" in text) == (encoding == "utf-8")
        else:
            assert ACME in text
            assert ("₮" in text) or ("\\u20ae" in text)


async def test_half_a_character_is_written_as_an_escape(service: Service) -> None:
    service.balances = [balance(tokenSymbol="a\ud83d")]
    told = await asyncio.to_thread(printed, "utf-8", "balances", "--json", "--url", service.url)
    assert (told.returncode, told.stderr) == (0, b"")
    assert json.loads(told.stdout)["items"] == service.balances


def printed(encoding: str, *argv: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", INDEXER, *argv],
        capture_output=True,
        check=False,
        timeout=60,
        env={"PYTHONIOENCODING": encoding, "PYTHONPATH": str(Path.cwd())},
    )
