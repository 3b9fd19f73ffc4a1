"""Signatures, checked the way the venues do."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Literal


def hmac_of(secret: str, message: str, shape: Literal["hex", "base64"] = "hex") -> str:
    digest = hmac.new(secret.encode(), message.encode(), hashlib.sha256).digest()
    return digest.hex() if shape == "hex" else base64.b64encode(digest).decode()


def kraken_hmac(secret: str, path: str, nonce: str, body: str) -> str:
    """HMAC-SHA512 over the path and the SHA256 of nonce and body, with the decoded secret."""
    inner = path.encode() + hashlib.sha256((nonce + body).encode()).digest()
    return base64.b64encode(hmac.new(_decoded(secret), inner, hashlib.sha512).digest()).decode()


def same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())


def is_recent(told_ms: int, now_ms: int, window_ms: int, ahead_ms: int = 1000) -> bool:
    """Not older than the window, and not from the future."""
    return now_ms - window_ms <= told_ms <= now_ms + ahead_ms


def number(text: str) -> int:
    """A timestamp or nonce as given; -1 when it is none."""
    return int(text) if text.isascii() and text.isdigit() else -1


def _decoded(secret: str) -> bytes:
    try:
        return base64.b64decode(secret)
    except binascii.Error:
        return secret.encode()
