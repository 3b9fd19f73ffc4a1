"""A resync of so many balances that one document cannot hold them: told in several facts, right after each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from indexer.domain.chain import Holding
from indexer.domain.telling.facts import Passed, StreamResync

MOST_BALANCES: Final = 20_000
"""About 5 MB of a document, which holds 16: each may be confirmed, followed until then, and have logs that trail."""


def in_parts(resync: StreamResync, most: int = MOST_BALANCES) -> tuple[StreamResync, ...]:
    """Of so many balances each at most, all of one balance in one part."""
    confirmed = {row.holding for row in resync.confirmed}
    named = sorted(confirmed | set(resync.passed.followed if resync.passed else ()))
    if len(named) <= most:
        return (resync,)
    starts = range(0, len(named), most)
    return tuple(_part(resync, frozenset(named[start : start + most]), more=start > 0) for start in starts)


def _part(resync: StreamResync, some: frozenset[Holding], *, more: bool) -> StreamResync:
    passed = resync.passed
    if passed is not None:
        followed = tuple(holding for holding in passed.followed if holding in some)
        passed = Passed(passed.after, followed, tuple(holding for holding in passed.trailing if holding in some))
    confirmed = tuple(row for row in resync.confirmed if row.holding in some)
    return replace(resync, confirmed=confirmed, passed=passed, more=more)
