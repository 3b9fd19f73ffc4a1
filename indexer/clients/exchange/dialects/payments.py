"""Funding payments from a moment on, all of them: venues hand them out in pages, each with a cursor of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from indexer.domain.accounts.arrivals import Funding, FundingsSeen
from indexer.errors import BadAnswer

MOST_PAGES: Final = 100
"""Of one question: who has more is asked again, so that one account never keeps a venue's limit for itself."""

FIRST_MS: Final = 30 * 86_400_000
"""How far back the first question goes."""

OLDEST_MS: Final = 90 * 86_400_000
"""What every venue keeps; of an absence that was longer the rest is lost."""

WINDOW_MS: Final = 7 * 86_400_000
"""What venues that hand out the newest first are asked for at once: Bybit takes no more."""

Row = Mapping[str, Any]


class Page(NamedTuple):
    """Some payments, and with what to ask for the next ones; nothing when there are none."""

    fundings: tuple[Funding, ...]
    following: str | None = None


def begin(since: datetime | None, now: int) -> int:
    """In the venue's milliseconds."""
    return now - FIRST_MS if since is None else max(int(since.timestamp() * 1000), now - OLDEST_MS)


async def oldest_first(
    ask: Callable[[int], Awaitable[tuple[Funding, ...]]], start: int, now: int, *, page: int
) -> FundingsSeen:
    """Page after page from the time of the newest so far; `page` is how many a full one has."""
    found: dict[str, Funding] = {}
    for _ in range(MOST_PAGES):
        fundings = await ask(start)
        found |= _by_id(fundings)
        if len(fundings) < page:
            return FundingsSeen(tuple(found.values()), _time(now))
        newest = max(_milliseconds(each) for each in fundings)
        if newest <= start or newest != _milliseconds(fundings[-1]):
            raise BadAnswer("funding payments that do not go on in time")
        start = newest
    return FundingsSeen(tuple(found.values()), _time(start), is_all=False)


async def newest_first(ask: Callable[[int, int, str | None], Awaitable[Page]], start: int, now: int) -> FundingsSeen:
    """Window after window, the oldest first, each of them whole: what is told has nothing missing before it."""
    found: dict[str, Funding] = {}
    begun, pages = start, 0
    while start <= now:
        window: dict[str, Funding] = {}
        following: str | None = None
        while True:
            if pages == MOST_PAGES:
                if start == begun:
                    raise BadAnswer("more funding payments than can be read at once")
                return FundingsSeen(tuple(found.values()), _time(start), is_all=False)
            fundings, following = await ask(start, start + WINDOW_MS, following)
            pages += 1
            window |= _by_id(fundings)
            if not following or not fundings:
                break
        found |= window
        start += WINDOW_MS
    return FundingsSeen(tuple(found.values()), _time(now))


def _by_id(fundings: Iterable[Funding]) -> dict[str, Funding]:
    return {funding.id: funding for funding in fundings}


def _milliseconds(funding: Funding) -> int:
    return round(funding.time.timestamp() * 1000)


def _time(moment: int) -> datetime:
    return datetime.fromtimestamp(moment / 1000, UTC)
