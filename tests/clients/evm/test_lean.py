"""What web3 brings along for wallets is not loaded by a service, and there for whoever wants it."""

from __future__ import annotations

import subprocess
import sys

LOADED = """
import sys
from indexer.clients.evm import connect
assert "web3" in sys.modules
assert not [name for name in sys.modules if name.startswith(("py_ecc.bls", "py_ecc.optimized"))]
"""
KEYFILE = """
from eth_keyfile import create_keyfile_json, decode_keyfile_json
from eth_keyfile.keyfile import MAX_V4_PRIVATE_KEY
kept = create_keyfile_json((5).to_bytes(32, "big"), b"secret", version=4, kdf="pbkdf2", iterations=1)
assert decode_keyfile_json(kept, b"secret") == (5).to_bytes(32, "big")
from py_ecc.bls import G2ProofOfPossession
from py_ecc.bls12_381 import curve_order, pairing
assert kept["pubkey"] == G2ProofOfPossession.SkToPk(5).hex()
assert curve_order - 1 == MAX_V4_PRIVATE_KEY
"""
FIRST = "import py_ecc.bls, py_ecc.bls12_381\nfrom indexer.clients.evm import connect\nimport web3\n"


def test_a_service_does_not_load_what_is_for_keyfiles_alone() -> None:
    _runs(LOADED)


def test_whoever_writes_a_keyfile_gets_the_real_thing() -> None:
    _runs(LOADED + KEYFILE)


def test_what_is_loaded_already_stays() -> None:
    _runs(FIRST + KEYFILE)


def _runs(script: str) -> None:
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
