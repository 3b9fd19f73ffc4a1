"""Translates what the driver raises into our errors: once, here, named by consequence, without secrets."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Final

from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
)

from indexer.errors import IndexerError, StoreUnavailable, StoreUnusable

_DUPLICATE_KEY: Final = 11000

_MOVING: Final = frozenset(
    {6, 7, 43, 50, 64, 89, 91, 112, 134, 175, 189, 202, 237, 262, 9001, 10058, 10107}
    | {11600, 11601, 11602, 13435, 13436, 14031}
)
"""What passes: no primary, stepping down, shutting down, interrupted, its cursor gone, not in time, disk full."""

_FORBIDDEN: Final = frozenset({13, 18, 8000})


class _Translating:
    """Wraps a few driver calls; stateless, so that one instance serves everybody (it is in the hot path)."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, PyMongoError) and (ours := translated(error)) is not None:
            raise ours from error


translating: Final = _Translating()
"""`with translating:` around driver calls; duplicate keys pass through: only the caller knows what they mean."""


def translated(error: PyMongoError) -> IndexerError | None:
    """Ours for the driver's; nothing for an error that has another meaning, or none but a mistake of ours."""
    match error:
        case ConnectionFailure():
            return StoreUnavailable(f"the store does not answer: {reason(error)}")
        case InvalidOperation() if "after close" in str(error):
            return StoreUnavailable("the store is closed")
        case ConfigurationError():
            return StoreUnusable(f"the store's URL cannot work: {reason(error)}")
        case OperationFailure() if not isinstance(error, DuplicateKeyError | BulkWriteError):
            return _failed(error)
        case _:
            return None


def _failed(error: OperationFailure) -> IndexerError | None:
    if error.code in _FORBIDDEN:
        return StoreUnusable(f"the store refuses us: {reason(error)}; check user, password and rights")
    if error.code in _MOVING or error.has_error_label("RetryableWriteError"):
        return StoreUnavailable(f"the store cannot do it just now: {reason(error)}")
    return None


def duplicates(error: BulkWriteError) -> list[int]:
    """The places of duplicate keys in a batch; raises where anything else went wrong."""
    details = error.details or {}
    others = [each for each in details.get("writeErrors", ()) if each["code"] != _DUPLICATE_KEY]
    others += details.get("writeConcernErrors", ())
    if others:
        code, words = others[0].get("code"), others[0].get("errmsg")
        raise translated(OperationFailure(words, code)) or error
    return [each["index"] for each in details.get("writeErrors", ())]


def reason(error: Exception) -> str:
    """The driver's first words, without its page of topology."""
    return re.split(r"( \(configured timeouts|, Timeout:|, full error:)", str(error), maxsplit=1)[0][:300]


def masked(url: str) -> str:
    """A store's URL as it may be shown: no user, no password, and no options, which can hold secrets too."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "***"
    before, _, options = rest.partition("?")
    if "@" in options and "@" not in before:
        return f"{scheme}://***"  # the question mark may stand in a password that was not escaped
    # Greedy on purpose: such a password may hold an @ or a slash itself.
    credentials, at, place = before.rpartition("@")
    return f"{scheme}://{'***@' if at and credentials else ''}{place}"
