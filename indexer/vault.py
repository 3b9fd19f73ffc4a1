"""Keeps credentials encrypted at rest: AES-256-GCM under one master key, which lies elsewhere."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from indexer.errors import Impossible
from indexer.masking import SHORTEST_MASTER_KEY, Secret

KEY_FILE: Final = "master.key"

_FILE: Final = f"the key file ({KEY_FILE} in data_dir)"
_VERSION: Final = "v1"
_NONCE_BYTES: Final = 12


class VaultLocked(Impossible):
    """The master key is missing, unsafe, or not the one that things were sealed with.

    `path` is for the log: where the file is on this machine is nobody's business who asks from elsewhere.
    """

    def __init__(self, message: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


class Vault:
    """`seal` and `unseal` name what the secret belongs to, so that one account's cannot be put in another's place."""

    def __init__(self, key: Secret) -> None:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"indexer credentials")
        self._cipher = AESGCM(derived.derive(key.reveal().encode()))

    def seal(self, plain: bytes, owner: str) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, plain, owner.encode())
        return f"{_VERSION}:{base64.b64encode(sealed).decode()}"

    def unseal(self, sealed: str, owner: str) -> bytes:
        version, _, text = sealed.partition(":")
        try:
            if version != _VERSION:
                raise VaultLocked(f"the credentials of {owner} were sealed by a newer release")
            raw = base64.b64decode(text, validate=True)
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], owner.encode())
        except (InvalidTag, binascii.Error, ValueError):
            raise VaultLocked(
                f"the credentials of {owner} were sealed with another master key; bring that key back, or replace them"
            ) from None


def open_vault(master_key: Secret, data_dir: Path) -> Vault:
    """With the configured key, or with the one in the key file, which is made when there is none."""
    if master_key.reveal():
        if len(master_key.reveal()) < SHORTEST_MASTER_KEY:
            wrong = f"service.master_key is shorter than {SHORTEST_MASTER_KEY} characters"
            raise VaultLocked(f"{wrong}: openssl rand -hex 32")
        return Vault(master_key)
    return Vault(Secret(_key_in(data_dir / KEY_FILE)))


def _key_in(path: Path) -> str:
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _make(path)
    except FileExistsError:  # somebody else was quicker
        pass
    except OSError as error:
        raise VaultLocked(f"{_FILE} cannot be made: {error.strerror}", path) from None
    return _read(path)


def _make(path: Path) -> None:
    """There once it is whole, and on the disk before anything is sealed with it: nobody could bring it back."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        _write(part, key := secrets.token_hex(32))
        _put(part, path, key)
    finally:
        part.unlink(missing_ok=True)
    with suppress(OSError):  # the plan: not every file system can, nor may everybody; the file itself is there
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _put(part: Path, path: Path, key: str) -> None:
    """Under its name, if nobody has it already."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links, as a mounted share: there it is made in place
        _write(path, key)


def _write(path: Path, key: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR), "w") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> str:
    """Refused when others may read it: a key that leaked is no key."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise VaultLocked(f"{_FILE} may be read by others (mode {mode:o}); chmod 600 it", path)
        key = path.read_text().strip()
    except OSError as error:
        raise VaultLocked(f"{_FILE} cannot be read: {error.strerror}", path) from None
    except UnicodeDecodeError:
        raise VaultLocked(f"{_FILE} is no text; bring back the one that was there", path) from None
    if len(key) < SHORTEST_MASTER_KEY:
        raise VaultLocked(f"{_FILE} holds no key; bring back the one that credentials were sealed with", path)
    return key
