"""`accounts` lists, shows and changes; credentials never stand on the command line."""

from __future__ import annotations

import json

import pytest

from indexer.cli.accounts import CREDENTIALS, credentials
from tests.cli.conftest import Service, account

Capture = pytest.CaptureFixture[str]


async def test_accounts_are_a_table_for_people_and_the_answer_for_programs(service: Service, capsys: Capture) -> None:
    service.accounts = [
        account(),
        account(name="hedge", state="suspended", lastError="bad key", warnings=["it can trade"]),
    ]
    assert await service.run("accounts") == 0
    told = capsys.readouterr().out
    assert [word in told for word in ("desk", "unified funding", "suspended", "bad key", "it can trade")] == [True] * 5
    assert await service.run("accounts", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["items"] == service.accounts


async def test_what_all_or_one_of_them_hold_is_shown_to_the_last_digit(service: Service, capsys: Capture) -> None:
    service.accounts = [account(), account(name="hedge")]
    assert await service.run("accounts", "balances") == 0
    assert capsys.readouterr().out.count("7.000000000000000001") == 6
    assert await service.run("accounts", "balances", "okx/desk", "--json") == 0
    assert [item["asset"] for item in json.loads(capsys.readouterr().out)["items"]] == ["BTC", "ETH", "USDT"]
    assert service.asked[-1].startswith("/api/v1/accounts/okx/desk/balances?")


async def test_an_account_is_added_with_credentials_of_the_environment(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INDEXER_ACCOUNT_API_KEY", "k-1")
    monkeypatch.setenv("INDEXER_ACCOUNT_SECRET", "s-1")
    assert await service.run("accounts", "add", "okx/desk", "--wallet", "unified") == 0
    told = capsys.readouterr()
    assert service.posted == [
        {"exchange": "okx", "name": "desk", "credentials": {"apiKey": "k-1", "secret": "s-1"}, "wallets": ["unified"]}
    ]
    assert "careful: the key can trade" in told.out
    assert not any(secret in told.out + told.err for secret in ("k-1", "s-1"))
    monkeypatch.setenv("INDEXER_ACCOUNT_SECRET", "wrong")
    assert await service.run("accounts", "add", "okx/desk") == 1
    assert capsys.readouterr().err == "indexer: credentials: okx refuses these credentials\n"


async def test_without_credentials_and_terminal_nothing_is_asked_of_the_service(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, _ in CREDENTIALS.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert await service.run("accounts", "add", "okx/desk") == 2
    assert "INDEXER_ACCOUNT_SECRET" in capsys.readouterr().err
    assert service.asked == []


def test_what_the_environment_does_not_say_is_asked_for() -> None:
    answers = iter(["key ", "secret", "", "", ""])
    assert credentials({}, lambda _question: next(answers)) == {"apiKey": "key", "secret": "secret"}
    assert credentials({"INDEXER_ACCOUNT_WALLET_ADDRESS": "0x1"}, None) == {"walletAddress": "0x1"}
    known = {"INDEXER_ACCOUNT_UID": "7", "INDEXER_ACCOUNT_PRIVATE_KEY": "p"}
    assert credentials(known, None) == {"privateKey": "p", "uid": "7"}


async def test_an_account_is_removed_or_read_again(service: Service, capsys: Capture) -> None:
    assert await service.run("accounts", "remove", "okx/desk") == 0
    assert "its history stays" in capsys.readouterr().out
    assert await service.run("accounts", "remove", "okx/nobody") == 2
    assert capsys.readouterr().err == "indexer: name: there is no account okx/nobody\n"
    assert await service.run("accounts", "refresh", "okx/desk") == 0
    assert "USDT" in capsys.readouterr().out


async def test_the_status_names_what_keeps_an_account_from_being_well(service: Service, capsys: Capture) -> None:
    service.status["streams"]["exchange:okx:desk"] = service.status["streams"]["chain:1"] | {
        "block": None,
        "account": {
            "breaker": {"state": "open", "failures": 5, "reason": "503"},
            "streamed": [],
            "unsupported": {"margin": "not for this key"},
            "reads": {"answered": 1, "failed": 5},
        },
    }
    assert await service.run("status") == 0
    told = capsys.readouterr().out
    assert "exchange:okx:desk: the margin wallet cannot be read: not for this key" in told
    assert "exchange:okx:desk: the breaker is open: 503" in told
