"""Whether what is shown of an account is known to hold just now, or only what was known last."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from indexer.domain.accounts.amounts import AccountKey, Slot
from indexer.domain.health.status import StreamState, StreamStatus
from indexer.domain.telling.streams import exchange_stream

_NOBODY_TELLS: Final[frozenset[StreamState]] = frozenset({"stale", "suspended", "stopped"})


class Standing:
    """As of one moment, by what the accounts said of themselves."""

    def __init__(self, streams: Iterable[StreamStatus]) -> None:
        self._statuses = {one.stream: one for one in streams}

    def is_stale(self, account: AccountKey, slot: Slot) -> bool:
        """Neither stream nor reads tell of its wallet, or what they told of it was not believed."""
        status = self._statuses.get(exchange_stream(*account))
        if status is None:
            return False
        if status.account is None:  # nobody has said anything in this life
            return status.state in {*_NOBODY_TELLS, "starting"}
        said = status.account
        return status.state in _NOBODY_TELLS or slot.wallet in said.stale or slot in said.kept_out
