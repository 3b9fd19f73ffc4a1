"""What is wrong with a MongoDB URL, as far as it can be told without asking anybody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import split_options

OURS: Final[Mapping[str, Any]] = {
    "appname": "solver-balance-indexer",
    "tz_aware": True,
    "w": "majority",
    "journal": True,
    # A primary that is being replaced still shows what it took and no majority has: told, it could be lost.
    "readConcernLevel": "majority",
}
"""Whatever the URL says."""

_REPEATABLE: Final = {"readpreferencetags", ""}


def wrong_with(url: str) -> str | None:
    """Why it cannot be used, without a word of it that may be secret; a part of it would be left out, perhaps."""
    before, _, options = url.partition("?")
    if "@" in options and "@" not in before:  # a password that was not escaped may have a question mark
        options = options.rpartition("@")[2].rpartition("?")[2]
    return _wrong_option(options) or _wrong_as_a_whole(url)


def _wrong_option(options: str) -> str | None:
    """The driver would warn of it and leave it out: with `tls=maybe` it would connect without TLS."""
    seen = set[str]()
    for place, option in enumerate(given := re.split("[&;]", options)):
        name, is_one, _ = option.partition("=")
        # What stands before an `@` may be of a password.
        told = "one of its options" if any("@" in later for later in given[place:]) else f"its option {name!r}"
        if is_one and not _is_known(option):
            return f"{told} is none that MongoDB has, or cannot have that value"
        if name.lower() in seen:
            return f"{told} is there twice"
        seen |= {name.lower()} - _REPEATABLE
    return None


def _is_known(option: str) -> bool:
    try:
        split_options(option, validate=True, warn=False)
    except (PyMongoError, ValueError, TypeError, KeyError, OSError):
        return False
    return True


def _wrong_as_a_whole(url: str) -> str | None:
    """The driver quotes parts of the URL, and a password that was not escaped is such a part: they are not told."""
    try:
        MongoClient[dict[str, Any]](url, connect=False, **OURS).close()
    except (PyMongoError, ValueError, TypeError, OSError):
        return (
            "it is no MongoDB connection string, or its options contradict each other; "
            "escape special characters of user and password (%40 for @)"
        )
    return None
