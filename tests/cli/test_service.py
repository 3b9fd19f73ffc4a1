"""`run`, `check` and `demo`: what happens before and after the service itself."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer import app, demo
from indexer.cli import main
from indexer.config import Settings
from indexer.errors import StoreUnusable

CHAIN = '[chains.ethereum]\nchain_id = 1\nrpc_urls = ["https://node/v3/hush1234hush5678"]\n'
Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("log_as_it_was", "signals_as_they_were")


@pytest.fixture
def signals_as_they_were() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "chains.toml"
    path.write_text(CHAIN)
    return path


def test_a_good_file_is_called_fine(file: Path, capsys: Capture) -> None:
    assert main(["check", "--config", str(file)]) == 0
    assert capsys.readouterr().out == f"{file} is fine: 1 chain, 0 solvers, 0 exchange accounts\n"


def test_check_prints_every_mistake_and_exits_with_2(file: Path, capsys: Capture) -> None:
    file.write_text(CHAIN + 'start_block = "soon"\n[service]\nprot = 1\nport = -1')
    assert main(["check", "--config", str(file)]) == 2
    told = capsys.readouterr().out
    assert f"{file}: 3 problems" in told
    assert '  chains.ethereum.start_block = "soon"\n' in told
    assert "  service.port = -1\n    is out of range\n    -> write a whole number from 0 to 65535" in told
    assert "did you mean `port`" in told


def test_check_knows_which_exchanges_have_a_sandbox(file: Path, capsys: Capture) -> None:
    keys = "api_key = 'key'\nsecret = 'hush'\nsandbox = true"
    file.write_text(
        f"[exchanges.a]\nexchange = 'kraken'\n{keys}\n[exchanges.b]\nexchange = 'binance'\nwallets = ['spot']\n{keys}"
    )
    assert main(["check", "--config", str(file)]) == 2
    told = capsys.readouterr().out
    assert f"{file}: 1 problem\n" in told
    assert "exchanges.a.sandbox\n    kraken has none" in told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mongodb://desk:hush1@one/?tls=maybe", "its option 'tls' is none that MongoDB has, or cannot have that value"),
        ("mongodb://desk:hush1@one/?maxPoolSize=abc", "its option 'maxPoolSize' is none"),
        ("mongodb://desk:hush1@one,two/?replicaSet=hush2&replicaSet=b", "its option 'replicaSet' is there twice"),
        ("mongodb+srv://desk:hush1@one.example/?nosuch=1", "its option 'nosuch' is none"),
        ("mongodb+srv://desk:hush1@one.example/?directConnection=true", "its options contradict each other"),
        ("mongodb://desk:hush%1@one", "escape special characters"),
        ("mongodb://desk:h@sh1?hush2=x@one", "one of its options is none"),
    ],
)
def test_check_says_of_a_store_what_the_start_would_say_and_asks_nobody(
    file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, url: str, told: str
) -> None:
    monkeypatch.setattr(socket, "socket", None)
    file.write_text(f"{CHAIN}[store]\nurl = '{url}'\n")
    assert main(["check", "--config", str(file)]) == 2
    said = capsys.readouterr().out
    assert f"{file}: 1 problem\n\n  store.url = " in said
    assert told in said
    assert "hush" not in said


@pytest.mark.parametrize("url", ["mongodb+srv://desk:hush1@one.example/?retryWrites=true", "mongodb://a,b/?w=1"])
def test_check_has_nothing_against_a_store_that_the_start_would_take(
    file: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(socket, "socket", None)
    file.write_text(f"{CHAIN}[store]\nurl = '{url}'\n")
    assert main(["check", "--config", str(file)]) == 0


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_missing_file_exits_with_2_and_says_how_to_make_one(command: str, tmp_path: Path, capsys: Capture) -> None:
    assert main([command, "--config", str(tmp_path / "nothing.toml")]) == 2
    assert "indexer init" in "".join(capsys.readouterr())


def test_run_does_not_start_on_a_wrong_file(file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "run", None)
    file.write_text("")
    assert main(["run", "--config", str(file)]) == 2
    assert "1 problem\n" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1])
def test_run_hands_the_settings_over_and_the_exit_code_back(
    file: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Settings] = []

    async def run(settings: Settings) -> int:
        given.append(settings)
        return code

    monkeypatch.setattr(app, "run", run)
    assert main(["run", "--config", str(file)]) == code
    assert given[0].path == file


def test_what_gets_out_of_the_service_is_told_masked(
    file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(_settings: Settings) -> int:
        raise StoreUnusable("https://node/v3/hush1234hush5678 and hush1234hush5678")

    monkeypatch.setattr(app, "run", run)
    assert main(["run", "--config", str(file)]) == 1
    told = capsys.readouterr().err
    assert "crashed" in told
    assert "StoreUnusable" in told
    assert "hush" not in told


def test_the_demo_is_told_where_to_listen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[Any] = []

    async def run(*args: Any) -> int:
        given.extend(args)
        return 0

    monkeypatch.setattr(demo, "run", run)
    assert main(["demo", "--port", "0", "--data-dir", str(tmp_path)]) == 0
    assert given == ["127.0.0.1", 0, tmp_path]
