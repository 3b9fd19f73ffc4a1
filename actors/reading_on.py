"""Reading on in the log up to an end that is known to be written."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from actors.patience import patiently
from indexer.domain.telling.commits import Commit
from indexer.errors import StoreUnavailable


class Log(Protocol):
    """The newest commit of a stream is never deleted."""

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]: ...


async def read_on(log: Log, who: str, stream: str, after: int, last: int, limit: int) -> list[Commit]:
    """The next commits up to number `last`, which is above `after`; nothing where none of them is kept any more."""
    page = await patiently(who, partial(_page, log, stream, after, last, limit))
    # What is above is still being written: it may yet be gone with the server that has it.
    return [commit for commit in page if commit.last_seq <= last]


async def _page(log: Log, stream: str, after: int, last: int, limit: int) -> list[Commit]:
    page = await log.since(stream, after, limit)
    if not page:
        # A primary that was elected a moment ago: what it knows a majority to have ends lower than what it has.
        raise StoreUnavailable(f"number {last} of {stream} cannot be read yet")
    return page
