"""`init`: what it writes is what `check` accepts, and nothing is ever lost to it."""

from __future__ import annotations

import errno
import io
import stat
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.cli import main
from indexer.cli.draft import KNOWN_CHAINS, ChainDraft, Draft, rendered
from indexer.cli.questions import ask
from indexer.config import load

USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
ACME = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chains.toml"


def test_flags_become_a_file_that_check_accepts(file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ["init", "--config", str(file), "--chain", "name=ethereum,rpc=${ETH_RPC},rpc=http://two/a,b,ws=ws://one"]
    argv += ["--chain", "name=mine,rpc=http://127.0.0.1:8545,id=31337", "--token", f"ethereum={USDC}"]
    assert main([*argv, "--solver", f"acme={ACME}", "--solver", "Other One=0x" + "12" * 20]) == 0
    assert "set before it runs: ETH_RPC\n" in capsys.readouterr().out
    monkeypatch.setenv("ETH_RPC", "http://one")
    assert main(["check", "--config", str(file)]) == 0
    settings = load(file, {"ETH_RPC": "http://one"})
    assert settings.chains["ethereum"].chain_id == 1
    assert settings.chains["ethereum"].rpc_urls == ("http://one", "http://two/a,b")
    assert settings.chains["ethereum"].ws_urls == ("ws://one",)
    assert settings.chains["ethereum"].tokens == (USDC,)
    assert settings.chains["mine"].chain_id == 31337
    assert list(settings.solvers) == ["acme", "Other One"]


def test_with_one_chain_a_token_needs_no_name(file: Path) -> None:
    argv = ["init", "--config", str(file), "--chain", "name=polygon,rpc=http://one", "--token", USDC]
    assert main(argv) == 0
    assert load(file, {}).chains["polygon"].tokens == (USDC,)
    assert load(file, {}).chains["polygon"].native_symbol == "POL"


def test_nothing_is_overwritten_without_force(file: Path, capsys: Capture) -> None:
    file.write_text("precious")
    argv = ["init", "--config", str(file), "--chain", "name=base,rpc=http://one"]
    assert main(argv) == 2
    assert "--force" in capsys.readouterr().err
    assert file.read_text() == "precious"
    assert main([*argv, "--force"]) == 0
    assert load(file, {}).chains


def test_a_file_that_gets_a_key_is_its_owners_alone_also_where_others_read_it_before(file: Path) -> None:
    file.write_text("others may read this")
    file.chmod(0o644)
    key = "0123456789abcdef0123456789abcdef"
    argv = ["init", "--config", str(file), "--force", "--chain", f"name=base,rpc=https://node.example/v3/{key}"]
    assert main(argv) == 0
    assert key in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_write_that_fails_leaves_the_file_that_was_there_and_no_other(
    file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("precious")
    file.chmod(0o644)
    monkeypatch.setattr("os.fsync", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    argv = ["init", "--config", str(file), "--chain", "name=base,rpc=https://node/v3/0123456789abcdef"]
    assert main([*argv, "--force"]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("precious", 0o644)
    file.unlink()
    assert main(argv) == 1
    assert list(file.parent.iterdir()) == []


def test_without_a_key_the_file_stays_readable_for_whom_it_was(file: Path) -> None:
    file.write_text("old")
    file.chmod(0o640)
    assert main(["init", "--config", str(file), "--force", "--chain", "name=base,rpc=http://one"]) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_where_a_link_leads_is_written_and_the_link_stays(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.toml"
    kept.write_text("old")
    file.symlink_to(kept)
    assert main(["init", "--config", str(file), "--force", "--chain", "name=base,rpc=http://one"]) == 0
    assert file.is_symlink()
    assert load(kept, {}).chains


def test_a_wrong_answer_writes_nothing_even_with_force(file: Path, capsys: Capture) -> None:
    file.write_text("precious")
    argv = ["init", "--config", str(file), "--force", "--chain", "name=base,rpc=ftp://one", "--solver", "a=0x12"]
    assert main(argv) == 2
    assert file.read_text() == "precious"
    told = capsys.readouterr().err
    assert "chains.base.rpc_urls[0]" in told
    assert "solvers.a.address" in told


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--solver", f"a={ACME}"], "needs a chain"),
        (["--chain", "ethereum"], "can't read --chain"),
        (["--chain", "name=ethereum"], "can't read --chain"),
        (["--chain", "rpc=http://u:hush@h/"], "can't read --chain"),
        (["--chain", "nme=a,rpc=http//u:hush@h/"], 'can\'t read --chain nme="a",rpc="***@h/": write'),
        (["--chain", "name=mine,rpc=http://h"], "say it"),
        (["--chain", "name=mine,rpc=http://h,id=x"], "id is a number"),
        (["--chain", "name=base,rpc=http://h", "--chain", "name=base,rpc=http://h"], "two chains are called base"),
        (["--chain", "name=base,rpc=http://h", "--token", f"bose={USDC}"], "chains here: base"),
        (["--chain", "name=base,rpc=http://h", "--solver", "acme"], "NAME=ADDRESS"),
        (["--chain", "name=base,rpc=http://h", "--solver", "a=0x", "--solver", "a=0x"], "used twice"),
    ],
)
def test_flags_that_make_no_sense_are_bad_usage(file: Path, capsys: Capture, flags: list[str], why: str) -> None:
    assert main(["init", "--config", str(file), *flags]) == 2
    told = capsys.readouterr().err
    assert why in told
    assert "hush" not in told
    assert not file.exists()


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("wss=ws://b", "can't read wss= of --chain; did you mean ws?"),
        ("ws=ws://b,wss=ws://u:hush@c", "can't read wss= of --chain; did you mean ws?"),
        ("chain_id=5", "can't read chain_id= of --chain; did you mean id?"),
        ("ID=5", "can't read ID= of --chain; did you mean id?"),
        ("id=5,nam=x", "can't read nam= of --chain; did you mean name?"),
        ("tokens=0x1", "can't read tokens= of --chain; did you mean --token?"),
        ("colour=hush", "can't read colour= of --chain; write --chain name="),
    ],
)
@pytest.mark.parametrize("url", ["http://a", "${RPC}", "http://u:p@a/b"])
def test_a_misspelt_part_of_a_chain_is_not_taken_for_its_url(
    file: Path, capsys: Capture, url: str, part: str, why: str
) -> None:
    assert main(["init", "--config", str(file), "--chain", f"name=base,rpc={url},{part}"]) == 2
    told = capsys.readouterr().err
    assert why in told
    assert "hush" not in told
    assert not file.exists()


@pytest.mark.parametrize("url", ["http://a/?x=1,y=2", "http://u:p,w=x@a/", "http://a/b,c", "http://a/b%2Cc=d"])
def test_a_comma_that_can_be_told_from_a_part_belongs_to_the_url(file: Path, url: str) -> None:
    assert main(["init", "--config", str(file), "--chain", f"name=base,rpc={url},ws=ws://b"]) == 0
    assert load(file, {}).chains["base"].rpc_urls == (url,)


def test_without_a_terminal_and_flags_it_says_what_to_say(
    file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["init", "--config", str(file)]) == 2
    assert "--chain name=NAME,rpc=URL" in capsys.readouterr().err


def test_a_file_with_a_key_in_it_is_for_its_owner_only(file: Path, capsys: Capture) -> None:
    argv = ["init", "--config", str(file), "--chain", "name=base,rpc=https://node/v3/0123456789abcdef"]
    assert main(argv) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "it holds a key" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, capsys: Capture) -> None:
    argv = ["init", "--config", str(tmp_path / "no" / "chains.toml"), "--chain", "name=base,rpc=http://one"]
    assert main(argv) == 1
    assert "No such file or directory" in capsys.readouterr().err


class Terminal(io.StringIO):
    """Answers as somebody would type them."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_it_asks_and_asks_again(file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["ethereum, mine", "", "", f"0x12, {USDC}", USDC, "x", "31337", "one", "http://one", "", "", "acme"]
    answers += ["0x0", ACME, "other", ACME, "0x" + "12" * 20, ""]
    monkeypatch.setattr("sys.stdin", Terminal("\n".join(answers) + "\n"))
    assert main(["init", "--config", str(file)]) == 0
    told = capsys.readouterr().out
    assert "this has 2" in told
    assert "expected an integer" in told
    assert "does not begin with http:// or https://" in told
    assert "another solver has this address" in told
    settings = load(file, {"ETHEREUM_RPC_URL": "http://e"})
    assert settings.chains["ethereum"].tokens == (USDC,)
    assert settings.chains["mine"].chain_id == 31337
    assert list(settings.solvers) == ["acme", "other"]


def test_who_goes_away_leaves_nothing_behind(file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("ethereum\n"))
    assert main(["init", "--config", str(file)]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert not file.exists()


def test_all_defaults_make_a_configuration(tmp_path: Path) -> None:
    draft = ask(io.StringIO("\n" * 10), io.StringIO())
    (tmp_path / "chains.toml").write_text(rendered(draft))
    assert list(load(tmp_path / "chains.toml", {"ETHEREUM_RPC_URL": "http://e"}).chains) == ["ethereum"]


@given(st.from_regex(r"[A-Za-z]([\w .-]{0,20}[\w])?", fullmatch=True), st.sampled_from(sorted(KNOWN_CHAINS)))
def test_any_name_that_is_allowed_can_be_written(
    tmp_path_factory: pytest.TempPathFactory, name: str, known: str
) -> None:
    path = tmp_path_factory.mktemp("init") / "chains.toml"
    draft = Draft([ChainDraft(known, ["http://one"])], {name: ACME})
    path.write_text(rendered(draft), encoding="utf-8")
    settings = load(path, {})
    assert list(settings.solvers) == [name]
    assert settings.chains[known].chain_id == KNOWN_CHAINS[known][0]
