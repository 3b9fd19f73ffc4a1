"""From the JSON of a node to our values; whatever cannot be an answer is a `BadAnswer`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from indexer.domain.chain import BlockHash, Head
from indexer.domain.times import LAST_SECOND
from indexer.errors import BadAnswer, BlockUnknown

_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_BLOOM: Final = re.compile(r"0x[0-9a-fA-F]{512}")
_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")

LAST_BLOCK: Final = 2**63 - 1
"""The store's integers have 64 bits, with a sign."""
LAST_LOG: Final = 2**31 - 1
"""No block has room for so many, and history packs a place into 31 bits."""


def quantity(value: Any) -> int:
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise BadAnswer(f"not a number: {shown(value)}")
    return int(value, 16)


def block_number(value: Any) -> int:
    """One that can be stored."""
    number = quantity(value)
    if number > LAST_BLOCK:
        raise BadAnswer(f"not a block's number: {number}")
    return number


def log_index(value: Any) -> int:
    """A log's place in its block."""
    index = quantity(value)
    if index > LAST_LOG:
        raise BadAnswer(f"not a log's place in its block: {index}")
    return index


def block_hash(value: Any) -> BlockHash:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise BadAnswer(f"not a block hash: {shown(value)}")
    return BlockHash(value.lower())


def block_seconds(value: Any, number: int) -> int:
    """A block's timestamp, which a date can express."""
    seconds = quantity(value)
    if seconds > LAST_SECOND:
        raise BadAnswer(f"block {number} says that its time is {seconds}, after the year 9999; timestamps are seconds")
    return seconds


def raw_bytes(value: Any) -> bytes:
    if not isinstance(value, str) or value[:2] != "0x":
        raise BadAnswer(f"not bytes: {shown(value)}")
    try:
        return bytes.fromhex(value[2:])
    except ValueError as error:
        raise BadAnswer(f"not bytes: {shown(value)}") from error


def head_of(header: Any) -> Head:
    """The fields of a header that we need; it may have any others (proof of authority, roll-ups), or lack them."""
    if header is None:
        raise BlockUnknown("the node does not have this block")
    if not isinstance(header, Mapping):
        raise BadAnswer(f"not a block: {shown(header)}")
    number = block_number(header.get("number"))
    return Head(
        number=number,
        hash=block_hash(header.get("hash")),
        parent=block_hash(header.get("parentHash")),
        timestamp=block_seconds(header.get("timestamp"), number),
        bloom=_bloom(header.get("logsBloom")),
    )


def _bloom(value: Any) -> int | None:
    """Nothing where it says nothing: chains that keep none (some roll-ups) fill it with zeros."""
    if not isinstance(value, str) or not _BLOOM.fullmatch(value):
        return None
    return int(value, 16) or None


def shown(value: Any) -> str:
    """Enough of a strange value to recognise it."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
