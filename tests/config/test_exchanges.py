"""What a file says of exchange accounts, their keys and their rules."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from indexer.config import load
from tests.config.conftest import CHAIN, Load, Wrong


def test_with_a_master_key_accounts_may_be_added_over_http_alone(tmp_path: Path) -> None:
    path = tmp_path / "chains.toml"
    path.write_text("[service]\nmaster_key = '${KEY}'\n")
    settings = load(path, {"KEY": "k" * 32})
    assert (settings.chains, settings.exchanges) == ({}, {})


@pytest.mark.parametrize(
    ("lines", "key", "message"),
    [
        ("exchange = 'binanse'", "exchange", "there is no such exchange; did you mean `binance`?"),
        ("exchange = 'nyse'", "exchange", "there is no such exchange; there are binance, kraken, okx, ndax, paradex"),
        (
            "exchange = 'binance'\nwallets = ['${X:-}', 'spot', 'unified']",
            "wallets[2]",
            "binance has no such wallet; it has spot, margin, earn",
        ),
        (
            "exchange = 'okx'\npassword = 'p'\nwallets = ['spott']",
            "wallets[0]",
            "okx has no such wallet; it has unified",
        ),
        (
            "exchange = 'binance'\nwallets = ['spott']",
            "wallets[0]",
            "binance has no such wallet; did you mean `spot`? It has spot, margin, earn",
        ),
        (
            "exchange = 'kraken'\nbase_url = 'https://me:hush-pass@proxy'",
            "base_url",
            "names a user or password; write it without: credentials have keys of their own",
        ),
        (
            "exchange = 'binance'\nsandbox = true\nwallets = ['spot', 'earn']",
            "wallets",
            "the sandbox of binance has no earn wallet; it has spot",
        ),
        ("exchange = 'kraken'\nsandbox = true", "sandbox", "kraken has none; leave it out for the exchange itself"),
    ],
)
def test_an_exchange_or_wallet_that_there_is_not_is_refused(wrong: Wrong, lines: str, key: str, message: str) -> None:
    problem = wrong(CHAIN + f"[exchanges.b]\napi_key = 'k'\nsecret = 's'\n{lines}")[f"exchanges.b.{key}"]
    assert f"{problem.message}; {problem.hint}" == message


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        ("exchange = 'okx'\napi_key = 'k'\nsecret = 's'", {"password"}),
        ("exchange = 'ndax'\napi_key = 'k'\nsecret = 's'\nuid = '7'", {"login", "password"}),
        ("exchange = 'paradex'\napi_key = 'k'", {"private_key", "wallet_address"}),
    ],
)
def test_what_an_exchange_asks_for_is_named_where_it_is_missing(wrong: Wrong, lines: str, missing: set[str]) -> None:
    problems = wrong(CHAIN + f"[exchanges.b]\n{lines}")
    assert set(problems) == {f"exchanges.b.{key}" for key in missing}
    assert all("asks for it" in str(problem) for problem in problems.values())


@pytest.mark.parametrize(
    ("text", "key", "variable"),
    [
        ("[exchanges.b]\nexchange = 'binance'\napi_key = 'k'", "exchanges.b.secret", "${BINANCE_SECRET}"),
        ("[exchanges.b]\nexchange = 'okx'\napi_key = 'k'\nsecret = 's'", "exchanges.b.password", "${OKX_PASSWORD}"),
        ("[exchanges.b]\nexchange = 'kraken'\napi_key = 'k'\nsecret = 5", "exchanges.b.secret", "${KRAKEN_SECRET}"),
        ("[exchanges.b]\nexchange = 'Binance'\nsecret = 's'", "exchanges.b.api_key", "${EXCHANGE_API_KEY}"),
        ("[service]\nmaster_key = 5", "service.master_key", "${INDEXER_MASTER_KEY}"),
    ],
)
def test_a_missing_secret_is_told_with_the_variable_that_could_hold_it(
    wrong: Wrong, text: str, key: str, variable: str
) -> None:
    assert variable in wrong(CHAIN + text)[key].hint


def test_whatever_an_exchange_asks_for_is_read_and_is_a_secret(loaded: Load) -> None:
    keys = ("api_key", "secret", "password", "uid", "account_id", "login", "token", "twofa", "private_key")
    lines = "\n".join(f"{key} = '{key}-hushed'" for key in keys)
    settings = loaded(CHAIN + f"[exchanges.b]\nexchange = 'ndax'\n{lines}")
    assert {f"{key}-hushed" for key in keys} <= set(settings.secrets())
    assert "hushed" not in repr(settings)


PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIHush0123456789\nhushABCDEFGH==\n-----END EC PRIVATE KEY-----\n"


@pytest.mark.parametrize("written", [PEM, PEM.strip(), PEM.replace("\n", "\\n"), PEM.replace("\n", "\r\n")])
def test_a_key_in_pem_is_read_with_its_lines_however_they_are_written(loaded: Load, written: str) -> None:
    text = CHAIN + "[exchanges.b]\nexchange = 'binance'\napi_key = 'organizations/1/apiKeys/2'\nsecret = '${KEY}'"
    assert loaded(text, {"KEY": written}).exchanges["b"].secret.reveal() == PEM


@pytest.mark.parametrize("written", ["-----BEGIN EC PRIVATE KEY-----", PEM + "hush", PEM.replace("EIH", "\u0007")])
def test_what_only_begins_as_a_key_in_pem_is_refused_and_not_shown(wrong: Wrong, written: str) -> None:
    text = CHAIN + "[exchanges.b]\nexchange = 'binance'\napi_key = 'k'\nsecret = '${KEY}'"
    problem = wrong(text, {"KEY": written})["exchanges.b.secret"]
    assert "in PEM" in problem.message
    assert "ush" not in str(problem)


ACCOUNT = "[exchanges.b]\nexchange = 'binance'\napi_key = 'k'\nsecret = 's'\n"


def test_rules_are_for_all_accounts_but_where_one_has_its_own(loaded: Load) -> None:
    settings = loaded(
        ACCOUNT + "[exchanges.b.rules]\nchange_percent = 5\n[exchanges.b.rules.severities]\nstale_data = 'info'\n"
        "[rules]\nchange_percent = 0.1\ntolerance = '0.000000000000000001'\n"
        "[rules.severities]\nstale_data = 'error'\nnegative_balance = 'warning'\n"
    )
    assert (settings.rules.change_percent, settings.rules.tolerance) == (Decimal("0.1"), Decimal(10) ** -18)
    own = settings.exchanges["b"].rules
    assert (own.change_percent, own.tolerance) == (Decimal(5), Decimal(10) ** -18)
    assert own.severities == {"stale_data": "info", "negative_balance": "warning"}


@pytest.mark.parametrize(
    ("line", "key", "told"),
    [
        ("change_percent = -1", "change_percent", "out of range"),
        ("change_absolute = 'much'", "change_absolute", "is not a number"),
        ("change_absolute = inf", "change_absolute", "out of range"),
        (f"change_absolute = 0x{'f' * 5_000}", "change_absolute", "out of range"),
        ("tolerance = true", "tolerance", "expected a number"),
        ("relative_tolerance = 1.5", "relative_tolerance", "out of range"),
        ("stale_second = 5", "stale_second", "not a known key"),
        ("severities = {stale_date = 'info'}", "severities.stale_date", "not a known key"),
        ("severities = {stale_data = 'loud'}", "severities.stale_data", "not known here"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(wrong: Wrong, line: str, key: str, told: str) -> None:
    assert told in str(wrong(CHAIN + f"[rules]\n{line}\n")[f"rules.{key}"])
    assert told in str(wrong(ACCOUNT + f"[exchanges.b.rules]\n{line}\n")[f"exchanges.b.rules.{key}"])
