"""Addresses as people write them, read into the one form that everything inside uses."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from eth_hash.auto import keccak

from indexer.domain.chain import Address

__all__ = ["ZERO", "Address", "checksum", "keccak", "parse_address"]

ZERO: Final = Address("0x" + "0" * 40)
"""Where mints come from and burns go to; nobody's wallet and no token."""

_HEX = re.compile(r"[0-9a-fA-F]*")


@lru_cache(maxsize=65_536)
def checksum(text: str) -> Address:
    """The EIP-55 form of `0x` and 40 hex digits of any case, given by a machine; not for what people type."""
    digits = text[2:].lower()
    if len(text) != 42 or text[:2] not in ("0x", "0X") or not _HEX.fullmatch(digits):
        raise ValueError(f"not an address: {text[:80]!r}")
    marks = keccak(digits.encode()).hex()
    return Address("0x" + "".join(d.upper() if mark >= "8" else d for d, mark in zip(digits, marks, strict=False)))


def parse_address(text: str, *, strict_case: bool = True) -> Address:
    """What a person or program wrote, or a `ValueError` that says what is wrong with it.

    All lower and all upper case carry no checksum and are taken; mixed case has to carry the right one,
    except where `strict_case` is off (paths and queries).
    """
    prefix, digits = text[:2], text[2:]
    if prefix not in ("0x", "0X"):
        raise ValueError("an address begins with 0x")
    if not _HEX.fullmatch(digits):
        at = next(index for index, char in enumerate(digits) if not _HEX.fullmatch(char))
        raise ValueError(f"not a hex digit: {digits[at]!r} at position {at + 3}")
    if len(digits) != 40:
        raise ValueError(f"an address has 40 hex digits after 0x; this has {len(digits)}")
    right = checksum("0x" + digits.lower())
    if right == ZERO:
        raise ValueError("the zero address is nobody's wallet and no token")
    is_mixed = digits not in (digits.lower(), digits.upper())
    if strict_case and is_mixed and digits != right[2:]:
        raise ValueError(f"wrong checksum: a letter may be mistyped; if all are right it is written {right}")
    return right
