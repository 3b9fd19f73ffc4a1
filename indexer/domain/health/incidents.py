"""What a chain could not do as it should, and did not paper over."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Incident(NamedTuple):
    """What could not be followed or read: at which block, why, and when that was."""

    block: int
    reason: str
    at: datetime


class Incidents(NamedTuple):
    """The last of each kind: everything was read anew; a native change could not be put at its own block."""

    resync: Incident | None = None
    search: Incident | None = None
