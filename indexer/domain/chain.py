"""What a chain is made of, in the one form that everything inside uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple, NewType

Address = NewType("Address", str)
"""An account or contract, always in EIP-55 checksum form; `clients.evm` and the API make them."""

BlockHash = NewType("BlockHash", str)
"""`0x` and 64 lower-case hex digits."""

TxHash = NewType("TxHash", str)

Token = str
"""A token contract's `Address`, or `NATIVE`."""

NATIVE: Final = "native"


class Holding(NamedTuple):
    """One balance that is watched on a chain: this token, in this wallet."""

    token: Token
    solver: Address


@dataclass(frozen=True, slots=True)
class BlockRef:
    """The block at which something holds; `timestamp` is in Unix seconds."""

    number: int
    hash: BlockHash
    timestamp: int


@dataclass(frozen=True, slots=True)
class Head:
    """A block header, as far as we need it."""

    number: int
    hash: BlockHash
    parent: BlockHash
    timestamp: int
    bloom: int | None = field(default=None, compare=False, repr=False)
    """Which addresses and topics its logs may name; nothing where the node does not say, or it was read long ago."""

    @property
    def ref(self) -> BlockRef:
        return BlockRef(self.number, self.hash, self.timestamp)


KnownBlock = BlockRef | Head
"""A block and what is known of it, against which an answer about it is held."""


class Transfer(NamedTuple):
    """One ERC-20 Transfer log; backfills make them by the hundred thousand, each in a third of a dataclass's time.

    Without an amount where it is shaped like none that we know: then it only says that somebody's balance may have
    changed, and a side that it does not name is the zero address.
    """

    token: Address
    sender: Address
    recipient: Address
    amount: int | None
    block_hash: BlockHash
    transaction: TxHash
    log_index: int
    block_number: int


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What a token says of itself; a token need not say any of it."""

    decimals: int | None = None
    symbol: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ChainIdentity:
    """What tells one chain from every other."""

    chain_id: int
    genesis: BlockHash
