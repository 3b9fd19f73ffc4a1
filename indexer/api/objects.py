"""JSON from outside, where a member that is given twice is a mistake: whichever counted, the other was meant, too."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import orjson

from indexer.errors import Refused


def parsed(raw: bytes | str) -> Any:
    """Raises `orjson.JSONDecodeError`; a member that is given twice is refused by its name."""
    value = orjson.loads(raw)
    try:
        json.loads(raw, object_pairs_hook=_once)
    except RecursionError as error:
        raise Refused("objects and lists in it are nested too deeply") from error
    return value


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = Counter(name for name, _ in pairs)
    if len(names) < len(pairs):
        raise Refused("given more than once", names.most_common(1)[0][0][:64])
