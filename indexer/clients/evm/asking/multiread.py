"""Many balances in one `eth_call`: a tiny program that a state override puts at an address.

It reads packed wallets from its calldata, then packed pairs of token and wallet, and returns one word for each of the
first and two for each of the others. When its gas runs low it returns the words it has: a short answer is no error, and
tells how many a call may ask for on this endpoint.

At the very end it repeats the first word of its calldata, which tells the calls of one request apart.

Behind them it says which block it ran at (`provenance.py` holds that against the block asked for). The last two words
of its calldata are where the wallets end and that block's number, and where it stands is the place where EIP-2935 keeps
hashes of blocks in the state: so it tells whose state it was given, and not only what the node took for the block.

Both kinds in one call, since what a node does for any call at a block costs more than the balances: 0.4 to 0.7 ms at
anvil 1.7.1, where a hundred more wallets cost 0.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from indexer.domain.chain import KnownBlock

BALANCE_OF: Final = "70a08231"

PLACE: Final = "0x0000f90827f1c53a10cb7a02335b175320002935"
"""Where the program stands for the length of one call: an override leaves what is stored there as it is."""

FACTS_BYTES: Final = 5 * 32

TAIL_BYTES: Final = FACTS_BYTES + 32
"""Behind the balances: the facts, and the first word of the calldata, by which a swapped answer is recognised."""

_CALL_GAS: Final = 200_000
"""What one `balanceOf` may use. Real ones take 3,000 to 60,000; one that burns all it gets must not starve the rest."""

_ENOUGH_GAS: Final = _CALL_GAS + _CALL_GAS // 32 + 20_000
"""A call gets at most 63/64 of what is left, however much it is promised; with this much left the promise holds."""

_OPCODES: Final = {
    name: code
    for code, name in (
        (0x01, "ADD"),
        (0x03, "SUB"),
        (0x06, "MOD"),
        (0x10, "LT"),
        (0x11, "GT"),
        (0x15, "ISZERO"),
        (0x17, "OR"),
        (0x1B, "SHL"),
        (0x1C, "SHR"),
        (0x31, "BALANCE"),
        (0x35, "CALLDATALOAD"),
        (0x36, "CALLDATASIZE"),
        (0x3D, "RETURNDATASIZE"),
        (0x40, "BLOCKHASH"),
        (0x42, "TIMESTAMP"),
        (0x43, "NUMBER"),
        (0x50, "POP"),
        (0x52, "MSTORE"),
        (0x54, "SLOAD"),
        (0x56, "JUMP"),
        (0x57, "JUMPI"),
        (0x5A, "GAS"),
        (0x5B, "JUMPDEST"),
        (0x80, "DUP1"),
        (0x81, "DUP2"),
        (0x82, "DUP3"),
        (0x83, "DUP4"),
        (0x85, "DUP6"),
        (0x90, "SWAP1"),
        (0x91, "SWAP2"),
        (0xF3, "RETURN"),
        (0xFA, "STATICCALL"),
    )
}


def assemble(source: str) -> bytes:
    """Mnemonics, hex literals (pushed at their own width), `name:` labels and `@name` references; `;` begins a note."""
    code = bytearray()
    labels: dict[str, int] = {}
    references: list[tuple[int, str]] = []
    for line in source.splitlines():
        for word in line.split(";")[0].split():
            if word.endswith(":"):
                labels[word[:-1]] = len(code)
                code.append(_OPCODES["JUMPDEST"])
            elif word.startswith("@"):
                references.append((len(code) + 1, word[1:]))
                code += b"\x60\x00"
            elif word.startswith("0x"):
                literal = bytes.fromhex(word[2:])
                code += bytes([0x5F + len(literal)]) + literal
            else:
                code.append(_OPCODES[word])
    for place, name in references:
        code[place] = labels[name]
    return bytes(code)


_PROGRAM: Final = assemble(f"""
    0x40 CALLDATASIZE SUB 0x00 0x00         ; last i out        last: where the pairs end, and two words are left
natives:
    DUP3 CALLDATALOAD DUP3 LT               ; until i reaches the end of the wallets
    ISZERO @pairs JUMPI
    GAS 0x3a98 GT @end JUMPI                ; or less than 15,000 gas is left: facts take 5,000, a cold BALANCE 2,600
    DUP2 CALLDATALOAD 0x60 SHR BALANCE      ; last i out balance
    DUP2 MSTORE                             ; memory[out] = balance
    0x20 ADD SWAP1 0x14 ADD SWAP1
    @natives JUMP
pairs:
    DUP3 DUP3 LT ISZERO @end JUMPI          ; until i reaches last
    GAS 0x{_ENOUGH_GAS:06x} GT @end JUMPI
    0x{BALANCE_OF} 0xe0 SHL DUP2 MSTORE     ; memory[out] = selector
    DUP2 0x14 ADD CALLDATALOAD 0x60 SHR     ; last i out wallet
    DUP2 0x04 ADD MSTORE                    ; memory[out + 4] = wallet
    0x20                                    ; last i out 32
    DUP1 DUP3 ADD                           ; last i out 32 out+32   the value's place
    0x24 DUP4                               ; last i out 32 out+32 36 out
    DUP6 CALLDATALOAD 0x60 SHR              ; ... token
    0x{_CALL_GAS:06x} STATICCALL            ; last i out success
    RETURNDATASIZE 0x01 SHL OR DUP2 MSTORE  ; memory[out] = size << 1 | success
    0x40 ADD SWAP1 0x28 ADD SWAP1
    @pairs JUMP
end:
    SWAP2 0x20 ADD SWAP2 SWAP1 POP          ; last+32 out       where the number stands, and the end of the balances
    NUMBER DUP2 MSTORE                      ; ... out           memory[out] = what the node takes for the number
    TIMESTAMP DUP2 0x20 ADD MSTORE          ; ... out
    0x01 NUMBER SUB BLOCKHASH
    DUP2 0x40 ADD MSTORE                    ; ... out           the hash below it
    SWAP1 CALLDATALOAD                      ; out number        the one we asked for
    0x1fff DUP1 0x01 DUP4 SUB MOD SLOAD     ; out number 8191 below
    DUP4 0x60 ADD MSTORE                    ; out number 8191   in this state, the hash of the block below
    SWAP1 MOD SLOAD DUP2 0x80 ADD MSTORE    ; out               and its own, which only a later state has
    0x00 CALLDATALOAD DUP2 0xa0 ADD MSTORE  ; out               what was asked
    0xc0 ADD 0x00 RETURN                    ; memory[0 : out + 192]
""")

_PLACED: Final = orjson.Fragment(orjson.dumps({PLACE: {"code": "0x" + _PROGRAM.hex()}}))

_CALLED: Final = f'{{"to":"{PLACE}","data":"0x'.encode()

_GOOD: Final = 32 << 1 | 1


def packed_wallets(wallets: Iterable[str]) -> bytes:
    """As they stand in the calldata; the same for every block, so it is done once."""
    return "".join(wallet[2:] for wallet in wallets).encode()


def packed_pairs(pairs: Iterable[tuple[str, str]]) -> bytes:
    """The same of tokens and wallets."""
    return "".join(token[2:] + wallet[2:] for token, wallet in pairs).encode()


def params(wallets: bytes, pairs: bytes, block: KnownBlock) -> list[Any]:
    """Of a call that reads what was packed at exactly this block."""
    end = f'{len(wallets) // 2:064x}{block.number:064x}"}}'.encode()
    return [orjson.Fragment(b"".join((_CALLED, wallets, pairs, end))), {"blockHash": block.hash}, _PLACED]


def echo(wallets: bytes, pairs: bytes) -> bytes:
    """The first word of the calldata, as the answer to this call repeats it."""
    return bytes.fromhex((wallets[:64] + pairs[:64] + f"{len(wallets) // 2:064x}".encode())[:64].decode())


def natives_found(raw: bytes) -> list[int]:
    return [int.from_bytes(raw[at : at + 32]) for at in range(0, len(raw), 32)]


def pairs_found(raw: bytes) -> list[int | None]:
    """A balance for each pair; nothing where the token did not answer with exactly one word."""
    return [
        int.from_bytes(raw[at + 32 : at + 64]) if int.from_bytes(raw[at : at + 32]) == _GOOD else None
        for at in range(0, len(raw), 64)
    ]
