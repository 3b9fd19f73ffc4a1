"""`status`, `balances` and `history` against a service that answers as docs/api.md says."""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
from urllib.parse import parse_qs, urlsplit

import pytest

from indexer.cli import main
from tests.cli.conftest import ACME, KEY, USDC, Service, account, balance

Capture = pytest.CaptureFixture[str]


async def test_status_is_a_table_for_people(service: Service, capsys: Capture) -> None:
    assert await service.run("status") == 0
    told = capsys.readouterr().out
    assert "indexer 0.1.0, up 1 h 2 min, 2 subscribers, store embedded" in told
    assert "configuration: service.port: is out of range" in told
    assert [word in told for word in ("chain:1", "ethereum", "live", "125", "https://node")] == [True] * 5
    silent = "chain:1: 0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48 cannot be read since block 91"
    assert f"{silent} (2026-11-21T01:01:00.000Z): balanceOf fails: paused" in told
    assert "chain:1: everything was read anew at block 90 (2026-11-21T01:00:00.000Z): a reorg deeper than" in told
    assert "native changes" not in told
    hidden = f"solver shade of the API ({ACME}) is hidden by shade of the file, and not watched on 1, 8453"
    assert f"configuration: {hidden}" in told
    assert "configuration: account binance/desk of the API is hidden by the file's" in told
    assert "solver same" not in told


async def test_what_nats_complains_of_can_not_steer_the_terminal(service: Service, capsys: Capture) -> None:
    service.status["nats"] = {"server": "n:4222", "state": "lost", "lagEvents": 7, "lastError": "gone\x1b[2J\naway"}
    assert await service.run("status") == 0
    assert "NATS n:4222 is lost, 7 events behind: gone?[2J?away\n" in capsys.readouterr().out


async def test_status_is_the_answer_itself_for_programs(service: Service, capsys: Capture) -> None:
    assert await service.run("status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == service.status


async def test_balances_are_read_from_all_pages(service: Service, capsys: Capture) -> None:
    service.balances = [balance(blockNumber=number) for number in range(5)]
    assert await service.run("balances", "--json", "--chain", "1", "--token", USDC, "--solver", ACME) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert [item["blockNumber"] for item in items] == [0, 1, 2, 3, 4]
    assert len(service.asked) == 3
    query = parse_qs(urlsplit(service.asked[1]).query)
    assert query == {"limit": ["1000"], "cursor": ["2"], "chain": ["1"], "token": [USDC], "solver": [ACME]}


async def test_balances_are_a_table_in_which_nothing_is_cut(service: Service, capsys: Capture) -> None:
    service.balances = [
        balance(),
        balance(tokenSymbol=None, amount=None),
        balance(tokenSymbol="[bold]E\x1b[31mVIL\n"),
    ]
    assert await service.run("balances") == 0
    told = capsys.readouterr().out
    assert "7.000001" in told
    assert ACME in told
    assert USDC in told
    assert "7000001 raw" in told
    assert "[bold]E?[31mVIL?" in told


class Terminal(io.StringIO):
    """As wide as it is told to be."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [60, 80, 100, 120])
async def test_on_a_narrow_terminal_a_record_takes_more_lines_and_no_address_is_broken(
    service: Service, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    service.balances = [balance(), balance(tokenSymbol=None), balance(solverAddress=USDC)]
    service.accounts = [account()]
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    assert await service.run("balances") == 0
    told = terminal.getvalue()
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", told).splitlines())) <= width
    assert [told.count(word) for word in (ACME, USDC, "okx/desk")] == [2, 2, 3]
    assert told.count(service.balances[0]["timestamp"]) == 3


async def test_on_a_narrow_terminal_what_is_wider_than_it_is_folded(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.balances = [balance(amount=None, balance="1" * 78), balance(tokenSymbol="long" * 30)]
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    assert await service.run("balances") == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert max(map(len, lines)) <= 80
    assert "".join(line.strip() for line in lines).count("long") == 30
    assert lines.count("   7.000001".ljust(80)) == 1, "not pushed to the right end of what is wider than the terminal"


async def test_on_a_wide_terminal_a_record_is_a_line(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.balances = [balance()]
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "160")
    assert await service.run("balances") == 0
    (line,) = [line for line in terminal.getvalue().splitlines() if ACME in line]
    assert service.balances[0]["timestamp"] in line


async def test_an_amount_of_hundreds_of_places_is_written_as_a_power_of_ten_for_people(
    service: Service, capsys: Capture
) -> None:
    tiny = "0." + "7000001".rjust(255, "0")
    service.balances = [balance(amount=tiny, decimals=255)]
    assert await service.run("balances") == 0
    told = capsys.readouterr().out
    assert "7000001e-255" in told
    assert max(map(len, told.splitlines())) < 160
    assert await service.run("balances", "--json") == 0
    assert json.loads(capsys.readouterr().out)["items"] == service.balances


async def test_what_exchange_accounts_hold_stands_beside_the_chains(service: Service, capsys: Capture) -> None:
    service.balances = [balance()]
    service.accounts = [account(), account(name="hedge")]
    assert await service.run("balances") == 0
    told = capsys.readouterr().out
    assert [word in told for word in ("7.000001", "okx/desk", "okx/hedge", "7.000000000000000001")] == [True] * 4
    assert await service.run("balances", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert [item["account"] for item in answer["accounts"]] == ["desk"] * 3 + ["hedge"] * 3
    assert answer["items"] == service.balances


async def test_one_account_is_shown_alone(service: Service, capsys: Capture) -> None:
    service.balances = [balance()]
    service.accounts = [account(), account(name="hedge")]
    assert await service.run("balances", "--account", "okx/hedge", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["items"], {item["account"] for item in answer["accounts"]}) == ([], {"hedge"})
    assert await service.run("balances", "--account", "okx/hedge") == 0
    told = capsys.readouterr().out
    assert ("okx/hedge" in told, "okx/desk" in told, ACME in told) == (True, False, False)


async def test_a_question_about_chains_asks_no_account(service: Service, capsys: Capture) -> None:
    service.balances = [balance()]
    service.accounts = [account()]
    assert await service.run("balances", "--chain", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["accounts"] == []
    assert not [path for path in service.asked if path.startswith("/api/v1/accounts")]


async def test_where_there_is_nothing_it_is_said(service: Service, capsys: Capture) -> None:
    assert await service.run("balances") == 0
    assert "nothing" in capsys.readouterr().out


async def test_history_has_as_many_records_as_asked_for(service: Service, capsys: Capture) -> None:
    argv = ("history", "ethereum", "native", ACME, "--limit", "3", "--before", "9", "--from", "2026-01-01T00:00:00Z")
    assert await service.run(*argv, "--json") == 0
    assert [item["blockNumber"] for item in json.loads(capsys.readouterr().out)["items"]] == [5, 4, 3]
    first = urlsplit(service.asked[0])
    assert first.path == f"/api/v1/balances/ethereum/native/{ACME}/history"
    assert parse_qs(first.query) == {"limit": ["3"], "before": ["9"], "from": ["2026-01-01T00:00:00Z"]}
    assert await service.run(*argv) == 0
    assert "transfer" in capsys.readouterr().out
    await service.run(*argv[:4], "--before", "0")
    assert parse_qs(urlsplit(service.asked[-1]).query)["before"] == ["0"]


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (("balances", "--chain", "nowhere"), 2, "chain: there is no chain 'nowhere'"),
        (("history", "1", "bad", ACME), 2, "token: not an address"),
        (("history", "1", "native", USDC), 2, "solver: this balance is not watched, and never was"),
        (("balances", "--account", "okx/nope"), 2, "name: there is no account okx/nope"),
        (("accounts", "balances", "okx/nope"), 2, "name: there is no account okx/nope"),
        (("accounts", "remove", "okx/nope"), 2, "name: there is no account okx/nope"),
        (("backfill", "--chain", "nowhere"), 2, "chain: no chain 'nowhere' is configured"),
        (("backfill", "--from-block", "9", "--to-block", "8"), 2, "toBlock: `toBlock` is below `fromBlock`"),
        (("backfill", "--token", USDC), 2, "token: nothing like that is watched on any chain"),
        (("backfill", "--from-block", "9"), 1, "nothing like that is watched on chain 1"),
    ],
)
async def test_a_refusal_is_one_line_with_the_services_words(
    service: Service, capsys: Capture, argv: tuple[str, ...], code: int, told: str
) -> None:
    assert await service.run(*argv) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"indexer: {told}\n"


async def test_a_key_is_shown_when_there_is_one(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.wants_key = True
    assert await service.run("status") == 1
    assert "Send an API key.; show a key with --api-key" in capsys.readouterr().err
    assert await service.run("status", "--api-key", KEY) == 0
    monkeypatch.setenv("INDEXER_API_KEY", KEY)
    assert await service.run("status") == 0


async def test_a_login_of_a_proxy_goes_beside_the_key(service: Service) -> None:
    service.wants_key, service.login = True, "Basic ZGVzazpodXNo"
    service.url = service.url.replace("//", "//desk:hush@")
    assert await service.run("status", "--api-key", KEY) == 0


async def test_the_url_may_come_from_the_environment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDEXER_URL", f"{service.url}/")
    assert await asyncio.to_thread(main, ["status"]) == 0


@pytest.mark.parametrize("command", [("status",), ("balances",), ("history", "1", "native", ACME), ("tail",)])
def test_a_service_that_is_not_there_is_one_clear_line(capsys: Capture, command: tuple[str, ...]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert main([*command, "--url", url]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"indexer: can't reach {url}: Connection refused; is it running, and is --url right?\n"


async def test_a_server_that_is_no_indexer_is_told_from_one(service: Service, capsys: Capture) -> None:
    service.url += "/elsewhere"
    assert await service.run("status") == 1
    assert "not as the indexer does (status 404)" in capsys.readouterr().err
