"""The command line itself: instant, and clear about what it does not understand."""

from __future__ import annotations

import subprocess
import sys

import pytest

from indexer.cli import main
from indexer.cli.parser import build_parser

HEAVY = ("web3", "ccxt", "motor", "pymongo", "aiohttp", "pykka", "rich", "structlog")


def test_building_the_parser_imports_nothing_heavy() -> None:
    code = (
        "import os, sys; from indexer.cli import main; from indexer.cli.parser import build_parser;"
        f"build_parser(os.environ).format_help(); print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["run", "check", "demo", "init", "status", "balances", "history", "tail"])
def test_every_command_has_help_and_a_performer(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: indexer {command}")


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("indexer ")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["rnu"],
        ["status", "--url", "ftp://x"],
        ["status", "--url", "http://x:y"],
        ["history", "1", "native"],
        ["history", "1", "native", "0x", "--limit", "0"],
        ["history", "1", "native", "0x", "--limit", "-1"],
        ["demo", "--port", "65536"],
        ["tail", "--limit", "x"],
    ],
)
def test_bad_usage_exits_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_the_key_from_the_environment_is_in_no_help() -> None:
    parser = build_parser({"INDEXER_API_KEY": "hush", "INDEXER_URL": "http://u:hush@h"})
    with pytest.raises(SystemExit):
        parser.parse_args(["status", "--help"])


def test_it_runs_as_a_module_too() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "indexer", "--help"], capture_output=True, text=True, check=True, timeout=30
    )
    assert told.stdout.startswith("usage: indexer")


@pytest.mark.parametrize("action", [["list"], ["balances"], ["remove", "okx/desk"], ["refresh", "okx/desk"]])
def test_what_stands_before_an_action_on_accounts_goes_for_it(action: list[str]) -> None:
    parser = build_parser({"INDEXER_URL": "http://usual"})
    before = parser.parse_args(["accounts", "--url", "http://other", "--api-key", "key", "--json", *action])
    assert (before.url, before.api_key, before.json) == ("http://other", "key", True)
    behind = parser.parse_args(["accounts", *action, "--url", "http://other", "--api-key", "key", "--json"])
    assert (behind.url, behind.api_key, behind.json) == ("http://other", "key", True)
    assert parser.parse_args(["accounts", *action]).url == "http://usual"
