"""Credentials at rest: unreadable without the key, and bound to their account."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.masking import Secret
from indexer.vault import KEY_FILE, Vault, VaultLocked, open_vault

KEY = Secret("0123456789abcdef0123456789abcdef")


@given(st.binary(max_size=200), st.text(max_size=40))
def test_what_was_sealed_is_unsealed_and_looks_like_nothing_of_it(plain: bytes, owner: str) -> None:
    sealed = Vault(KEY).seal(plain, owner)
    assert Vault(KEY).unseal(sealed, owner) == plain
    assert len(plain) < 8 or plain.hex() not in sealed


def test_the_same_secret_is_sealed_differently_every_time() -> None:
    assert Vault(KEY).seal(b"secret", "a") != Vault(KEY).seal(b"secret", "a")


def test_one_accounts_credentials_cannot_be_put_in_the_place_of_anothers() -> None:
    with pytest.raises(VaultLocked):
        Vault(KEY).unseal(Vault(KEY).seal(b"secret", "binance/a"), "binance/b")


@pytest.mark.parametrize("sealed", ["", "v1:", "v1:AAAA", "v2:AAAA", "v1:not base64!"])
def test_what_is_no_sealed_text_is_refused_with_what_to_do(sealed: str) -> None:
    with pytest.raises(VaultLocked, match="binance/main"):
        Vault(KEY).unseal(sealed, "binance/main")


def test_another_key_opens_nothing_and_says_so() -> None:
    with pytest.raises(VaultLocked, match="another master key"):
        Vault(Secret("another key of 32 characters ....")).unseal(Vault(KEY).seal(b"secret", "a"), "a")


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    sealed = open_vault(Secret(""), tmp_path).seal(b"secret", "a")
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert open_vault(Secret(""), tmp_path).unseal(sealed, "a") == b"secret"


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    open_vault(Secret(""), tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(VaultLocked, match="chmod 600"):
        open_vault(Secret(""), tmp_path)


def test_an_empty_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).touch(mode=0o600)
    with pytest.raises(VaultLocked, match="holds no key"):
        open_vault(Secret(""), tmp_path)


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VaultLocked, match="shorter"):
        open_vault(Secret("short"), tmp_path)


def test_a_key_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / KEY_FILE
    path.write_bytes(b"zz\xff\x00")
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    with pytest.raises(VaultLocked, match="is no text"):
        open_vault(Secret(""), tmp_path)


def test_a_key_that_was_not_written_whole_is_none_and_the_next_start_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill in the middle would leave a file without a key, which nobody could bring back."""

    def killed(_descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            open_vault(Secret(""), tmp_path)
    assert not (tmp_path / KEY_FILE).exists()
    sealed = open_vault(Secret(""), tmp_path).seal(b"x", "me")
    assert open_vault(Secret(""), tmp_path).unseal(sealed, "me") == b"x"
    assert [each.name for each in tmp_path.iterdir()] == [KEY_FILE]


def test_of_two_that_make_a_key_at_once_both_have_the_first_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed: list[str] = []
    fsync = os.fsync

    def another_first(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        sealed.append(open_vault(Secret(""), tmp_path).seal(b"x", "me"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", another_first)
    assert open_vault(Secret(""), tmp_path).unseal(sealed[0] if sealed else "", "me") == b"x"


@pytest.mark.parametrize("lacking", ["link", "fsync of folders"])
def test_a_file_system_that_cannot_do_all_of_it_gets_a_key_nevertheless(
    lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a mounted share."""
    fsync = os.fsync

    def no_link(_source: Path, _target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    def no_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    if lacking == "link":
        monkeypatch.setattr(os, "link", no_link)
    else:
        monkeypatch.setattr(os, "fsync", no_folders)
    sealed = open_vault(Secret(""), tmp_path).seal(b"x", "me")
    assert open_vault(Secret(""), tmp_path).unseal(sealed, "me") == b"x"
    assert [each.name for each in tmp_path.iterdir()] == [KEY_FILE]
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
