"""What of a MongoDB URL is secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from indexer.masking import url_secrets

_NAMES_AND_MEASURES: Final = frozenset(
    (
        *("authsource", "authmechanism", "replicaset", "appname", "readpreference", "readconcernlevel", "w", "journal"),
        *("tls", "ssl", "tlscafile", "tlscertificatekeyfile", "directconnection", "loadbalanced", "compressors"),
        *("retrywrites", "retryreads", "wtimeoutms", "connecttimeoutms", "sockettimeoutms", "serverselectiontimeoutms"),
        *("maxpoolsize", "minpoolsize", "maxidletimems", "heartbeatfrequencyms"),
    )
)
"""Options without a secret; of any other it is not known."""


def store_secrets(url: str) -> Iterator[str]:
    """What is masked where it stands alone: the path names a database, and most options a thing or a measure."""
    bare, _, query = url.partition("?")
    if "@" in query:  # a password that holds a `?`, perhaps
        yield from url_secrets(url)
        return
    login, at, place = bare.partition("://")[2].rpartition("@")
    yield from url_secrets(f"mongodb://{login}{at}{place.partition('/')[0]}")
    yield from (value for name, value in _options(query) if name.lower() not in _NAMES_AND_MEASURES)


def _options(query: str) -> Iterator[tuple[str, str]]:
    for pair in re.split("[&;]", query):
        name, _, value = pair.partition("=")
        if name:
            yield name, value
