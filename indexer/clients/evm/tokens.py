"""What a token says of itself, read with suspicion: anybody may deploy one that says anything."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, Final

from indexer.clients.evm.answers import raw_bytes
from indexer.clients.evm.calls import Call, Plan, Reply
from indexer.clients.evm.readings import balance_call, one_word
from indexer.clients.evm.wording import CallFailed, GasExhausted
from indexer.domain.chain import Address, TokenInfo
from indexer.errors import NotAToken

_DECIMALS: Final = "0x313ce567"
_SYMBOL: Final = "0x95d89b41"
_NAME: Final = "0x06fdde03"
_SOMEBODY: Final = "0x000000000000000000000000000000000000bEEF"
"""Many tokens refuse to tell the zero address's balance."""

_LONGEST_SYMBOL: Final = 32
_LONGEST_NAME: Final = 128
_LATEST: Final = "latest"


def description(token: Address, block: Any = _LATEST) -> Plan[TokenInfo]:
    """Decimals, symbol and name; each may be missing."""
    calls = [Call("eth_call", [{"to": token, "data": data}, block]) for data in (_DECIMALS, _SYMBOL, _NAME)]

    def read(replies: Sequence[Reply]) -> TokenInfo:
        decimals, symbol, name = (_said(reply) for reply in replies)
        return TokenInfo(decimals_of(decimals), text_of(symbol, _LONGEST_SYMBOL), text_of(name, _LONGEST_NAME))

    return Plan(calls, read)


def inspection(token: Address) -> Plan[TokenInfo]:
    """Whether it is a token at all, and its description."""
    described = description(token)
    calls = [Call("eth_getCode", [token, _LATEST]), balance_call(token, _SOMEBODY, _LATEST), *described.calls]

    def read(replies: Sequence[Reply]) -> TokenInfo:
        if not raw_bytes(replies[0].get()):
            raise NotAToken(f"{token} has no code: it is no contract on this chain")
        balance = one_word(replies[1])
        if isinstance(balance, str):
            raise NotAToken(f"{token} is no ERC-20 token: {balance}")
        return described.read(replies[2:])

    return Plan(calls, read)


def decimals_of(raw: bytes) -> int | None:
    """A uint8; a token that claims more than 255 is not believed."""
    value = int.from_bytes(raw) if len(raw) == 32 else 256
    return value if value <= 255 else None


def text_of(raw: bytes, longest: int) -> str | None:
    """A `string`, or the `bytes32` of older tokens, without anything that could disturb a page or a terminal."""
    if len(raw) == 32:
        said = raw.split(b"\0")[0]
    else:
        offset = int.from_bytes(raw[:32])
        if len(raw) < 64 or offset + 32 > len(raw):
            return None
        size = int.from_bytes(raw[offset : offset + 32])
        # Four bytes a letter at most: the rest is never decoded, however long it claims to be.
        said = raw[offset + 32 :][: min(size, longest * 4)]
    letters = "".join(
        " " if char.isspace() else char
        for char in said.decode("utf-8", errors="replace")
        # Control, format (text direction!), surrogate and private characters.
        if char.isspace() or unicodedata.category(char)[0] != "C"
    )
    return " ".join(letters.split())[:longest].strip() or None


def _said(reply: Reply) -> bytes:
    try:
        return raw_bytes(reply.get())
    except (CallFailed, GasExhausted):
        return b""
