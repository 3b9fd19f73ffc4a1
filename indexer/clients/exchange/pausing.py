"""How long a stream stays closed that was lost or did not open."""

from __future__ import annotations

from typing import Final

from indexer.errors import BadCredentials, IndexerError, Throttled, WalletUnsupported

FIRST_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 15.0
REFUSED_SECONDS: Final = 60.0
"""After a login that the venue refuses, or for a wallet alone: where REST refuses the key as well, the account is
suspended long before."""


def pause_after(error: IndexerError, failures: int, jitter: float) -> float:
    """Before the next connection, after so many of them failed; never less than the venue asks for."""
    pause = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 10))
    if isinstance(error, BadCredentials | WalletUnsupported):
        pause = REFUSED_SECONDS
    asked = error.retry_after_seconds if isinstance(error, Throttled) else None
    return max(asked or 0.0, pause * (0.5 + jitter / 2))
