"""Reads many documents without keeping everybody else waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from repositories.database import BATCH, Document

ROWS_IN_A_ROW: Final = 100
"""Some 3 ms for those that become a record each."""


async def in_turns(cursor: Any, *, weight: Callable[[Document], int] = lambda _document: 1) -> AsyncIterator[Document]:
    """What a cursor finds; after so many rows the loop has a turn.

    motor hands over a whole batch without one, and by itself a server sends up to 16 MB at a time.
    """
    rows = 0
    async for document in cursor.batch_size(BATCH):
        yield document
        rows += weight(document)
        if rows >= ROWS_IN_A_ROW:
            rows = 0
            await asyncio.sleep(0)
