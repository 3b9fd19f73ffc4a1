"""Goes through ten thousands of rows a part at a time, so that everybody else has a turn in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from heapq import merge
from typing import Any, Final, TypeVar

PART: Final = 250
"""Some 2 ms where each of them is encoded."""

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Any)


async def in_parts(items: Iterable[Item]) -> AsyncIterator[Sequence[Item]]:
    """All that there are at this moment."""
    every = list(items)
    for start in range(0, len(every), PART):
        yield every[start : start + PART]
        await asyncio.sleep(0)


async def ordered(rows: Mapping[Key, Item], is_wanted: Callable[[Key], bool]) -> list[Item]:
    """Those with a wanted key, in the order of their keys; the store's pages are so already, and only joined."""
    runs: list[list[Key]] = []
    async for keys in in_parts(rows):
        part = sorted(key for key in keys if is_wanted(key))
        if runs and part and runs[-1][-1] < part[0]:
            runs[-1] += part
        elif part:
            runs.append(part)
    found: list[Item] = []
    for key in merge(*runs):
        found.append(rows[key])
        if len(found) % PART == 0:
            await asyncio.sleep(0)
    return found
