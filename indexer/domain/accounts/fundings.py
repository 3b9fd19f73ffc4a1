"""Which funding payments are known: each is told once, also one that the venue lists late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from indexer.domain.accounts.arrivals import Funding

LATE: Final = timedelta(hours=1)
"""So much before the newest known one is asked for again: venues do not list payments in the order of their times."""


@dataclass(frozen=True, slots=True)
class Funded:
    """The newest time, and the ids of those at most `LATE` before it."""

    until: datetime | None = None
    ids: Mapping[str, datetime] = field(default_factory=dict)

    def is_new(self, funding: Funding) -> bool:
        """Older ones than `LATE` were read before, whether they are remembered or not."""
        return funding.id not in self.ids and (self.until is None or funding.time >= self.until - LATE)

    def noting(self, funding: Funding) -> Funded:
        until = funding.time if self.until is None else max(self.until, funding.time)
        ids = {**self.ids, funding.id: funding.time}
        if until != self.until:
            ids = {each: time for each, time in ids.items() if time >= until - LATE}
        return Funded(until, ids)


def asked_from(known_until: datetime | None, read_until: datetime | None) -> datetime | None:
    """From when on to ask; nothing where nothing is known: from as long ago as the venue's dialect says."""
    until = max((time for time in (known_until, read_until) if time is not None), default=None)
    return None if until is None else until - LATE
