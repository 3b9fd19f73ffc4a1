"""A header's bloom: whom a block's Transfer logs may name, and when that is worth a second question."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from indexer.addresses import keccak
from indexer.clients.evm.transfers.logs import TRANSFER, topic_of
from indexer.domain.balances import Watch
from indexer.domain.chain import Address, Holding, Transfer

_BITS: Final = 2048
_CHANCE: Final = 0.05
"""Of being named by accident: where it is higher the bloom is too full to tell anything, as most are on mainnet."""


class Sought:
    """A watch as bits: what a bloom has to show for a log of ours to be in its block."""

    def __init__(self, watch: Watch) -> None:
        self._transfer = bits(TRANSFER)
        self._tokens = [(token, bits(token)) for token in sorted(watch.tokens)]
        self._wallets = [(wallet, bits(topic_of(wallet))) for wallet in sorted(watch.solvers)]

    def may_name(self, bloom: int) -> frozenset[Address]:
        """The watched wallets that a Transfer of a watched token may be about; all others surely are in none."""
        if bloom & self._transfer != self._transfer:
            return frozenset()
        if not any(bloom & token == token for _, token in self._tokens):
            return frozenset()
        return frozenset(wallet for wallet, topic in self._wallets if bloom & topic == topic)

    def suspects(self, bloom: int | None, transfers: Iterable[Transfer]) -> frozenset[Holding]:
        """The balances of those whom these do not name, and of whom a log was probably left out.

        It may still be another event, or a token that nobody watches: so it is a reason to ask again, and no proof.
        """
        if bloom is None or len(self._wallets) * (bloom.bit_count() / _BITS) ** 3 > _CHANCE:
            return frozenset()
        named = {wallet for transfer in transfers for wallet in (transfer.sender, transfer.recipient)}
        wallets = self.may_name(bloom) - named
        if not wallets:
            return frozenset()
        tokens = [token for token, bits_of in self._tokens if bloom & bits_of == bits_of]
        return frozenset(Holding(token, wallet) for token in tokens for wallet in wallets)


@lru_cache(maxsize=65_536)
def bits(item: str) -> int:
    """The three bits that an address or topic sets, as the yellow paper has it."""
    digest = keccak(bytes.fromhex(item[2:]))
    return sum({1 << (int.from_bytes(digest[at : at + 2]) % _BITS) for at in (0, 2, 4)})
