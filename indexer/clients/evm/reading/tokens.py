"""What a token says of itself, read with suspicion: anybody may deploy one that says anything."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from indexer.clients.evm.asking.answers import raw_bytes
from indexer.clients.evm.asking.calls import Call, Plan, Reply, joined
from indexer.clients.evm.asking.wording import CallFailed, GasExhausted
from indexer.clients.evm.endpoints.endpoints import NEVER, Endpoints
from indexer.clients.evm.reading.readings import ENOUGH_GAS, balance_call, one_word
from indexer.domain.chain import Address, BlockHash, TokenInfo
from indexer.domain.tokens import NOTHING_TOLD, agreed, is_whole
from indexer.errors import NotAToken

_DECIMALS: Final = "0x313ce567"
_SYMBOL: Final = "0x95d89b41"
_NAME: Final = "0x06fdde03"
_SOMEBODY: Final = "0x000000000000000000000000000000000000bEEF"
"""Many tokens refuse to tell the zero address's balance."""

_LONGEST_SYMBOL: Final = 32
_LONGEST_NAME: Final = 128


def description(token: Address, block: BlockHash) -> Plan[TokenInfo]:
    """Decimals, symbol and name at this block; each may be missing."""
    calls = [
        Call("eth_call", [{"to": token, "data": data, "gas": ENOUGH_GAS}, {"blockHash": block}])
        for data in (_DECIMALS, _SYMBOL, _NAME)
    ]

    def read(replies: Sequence[Reply]) -> TokenInfo:
        decimals, symbol, name = (_said(reply) for reply in replies)
        return TokenInfo(decimals_of(decimals), text_of(symbol, _LONGEST_SYMBOL), text_of(name, _LONGEST_NAME))

    return Plan(calls, read)


def inspection(token: Address, block: BlockHash) -> Plan[TokenInfo | NotAToken]:
    """Its description, or why it is no token at all."""
    described, pinned = description(token, block), {"blockHash": block}
    calls = [Call("eth_getCode", [token, pinned]), balance_call(token, _SOMEBODY, pinned), *described.calls]

    def read(replies: Sequence[Reply]) -> TokenInfo | NotAToken:
        if not raw_bytes(replies[0].get()):
            return NotAToken(f"{token} has no code: it is no contract on this chain")
        balance = one_word(replies[1])
        if isinstance(balance, str):
            return NotAToken(f"{token} is no ERC-20 token: {balance}")
        return described.read(replies[2:])

    return Plan(calls, read)


class Described:
    """Asks what tokens say of themselves: who tells nothing, or something new, is not believed alone."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    async def describe(
        self, known: Mapping[Address, TokenInfo], block: BlockHash, *, can_wait: bool
    ) -> dict[Address, TokenInfo]:
        """What these, of which so much is `known`, say at this block: one round trip, or two."""
        if not known:
            return {}
        hedge_seconds = NEVER if can_wait else None
        first = await self._ask(known, block, hedge_seconds)
        return await self._settled(known, first, block, hedge_seconds)

    async def probe(self, token: Address, block: BlockHash) -> TokenInfo:
        """The same, or `NotAToken` with the reason."""
        found = await self._endpoints.ask(lambda _: inspection(token, block))
        if isinstance(found, NotAToken) and self._has_others:
            teller = self._endpoints.name
            found = await self._endpoints.ask(lambda _: inspection(token, block), rather_not=teller)
        if isinstance(found, NotAToken):
            raise found
        return (await self._settled({token: NOTHING_TOLD}, {token: found}, block))[token]

    async def _settled(
        self,
        known: Mapping[Address, TokenInfo],
        first: Mapping[Address, TokenInfo],
        block: BlockHash,
        hedge_seconds: float | None = None,
    ) -> dict[Address, TokenInfo]:
        unsure = [token for token, info in first.items() if self._is_unsure(known[token], info)]
        second = await self._ask(unsure, block, hedge_seconds, self._endpoints.name) if unsure else {}
        answers = ((token, (info, second.get(token, info))) for token, info in first.items())
        return {token: agreed(known[token], both) for token, both in answers}

    def _is_unsure(self, known: TokenInfo, told: TokenInfo) -> bool:
        """It changed; or it is silent, and somebody else may be asked."""
        is_news = known != NOTHING_TOLD and agreed(known, (told,)) != known
        return is_news or (self._has_others and not is_whole(told))

    @property
    def _has_others(self) -> bool:
        return any(endpoint.name != self._endpoints.name for endpoint in self._endpoints.able)

    async def _ask(
        self,
        tokens: Collection[Address],
        block: BlockHash,
        hedge_seconds: float | None,
        rather_not: str | None = None,
    ) -> dict[Address, TokenInfo]:
        asked = joined([description(token, block) for token in tokens])
        found = await self._endpoints.ask(lambda _: asked, hedge_seconds=hedge_seconds, rather_not=rather_not)
        return dict(zip(tokens, found, strict=True))


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
