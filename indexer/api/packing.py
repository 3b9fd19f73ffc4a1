"""Bodies that came packed: unpacked here, with a bound, so that whatever is wrong with one is a clear refusal."""

from __future__ import annotations

import zlib
from typing import Final

from indexer.api.problems import BadRequest
from indexer.errors import Refused

MAX_BODY_BYTES: Final = 1024**2
"""Of a body, as it is sent and unpacked."""

TOO_LARGE: Final = "The body is larger than 1 MiB."


def refuse_unknown_packing(encoding: str) -> None:
    if encoding not in ("identity", "gzip", "deflate"):
        raise BadRequest(415, f"Send the body packed with gzip, deflate or not at all, not with {encoding[:64]}.")


def unpacked(raw: bytes, encoding: str) -> bytes:
    if encoding == "identity":
        return raw
    unpacker = zlib.decompressobj(_window(raw, encoding))
    try:
        body = unpacker.decompress(raw, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise Refused(f"the body is not packed with {encoding}, as its Content-Encoding says") from error
    if len(body) > MAX_BODY_BYTES:
        raise BadRequest(413, TOO_LARGE)
    if not unpacker.eof:
        raise Refused(f"the body ends before what {encoding} packed does")
    if unpacker.unused_data:
        raise Refused(f"something follows in the body on what {encoding} packed")
    return body


def _window(raw: bytes, encoding: str) -> int:
    """Zlib's word for what is packed how: many send `deflate` without the header that belongs to it."""
    if encoding == "gzip":
        return 16 + zlib.MAX_WBITS
    return zlib.MAX_WBITS if raw[:1] and raw[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS
