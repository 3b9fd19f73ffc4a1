"""How far each chain is followed, and which of its balances are not known to hold that far."""

from __future__ import annotations

from collections.abc import Iterable

from indexer.domain.chain import NATIVE, Holding
from indexer.domain.health.status import Reached, StreamStatus
from indexer.domain.telling.streams import chain_of, chain_stream


class Reach:
    """As of one moment, by what the chains said of themselves."""

    def __init__(self, streams: Iterable[StreamStatus]) -> None:
        self._chains = {
            chain: (_reached(status), status.natives_read, status.unread.held)
            for status in streams
            if status.block is not None
            and (chain := chain_of(status.stream)) is not None
            and status.stream == chain_stream(chain)
        }

    def followed(self, chain_id: int) -> int | None:
        return self._chains[chain_id][0].followed if chain_id in self._chains else None

    def held(self, chain_id: int, holding: Holding) -> int | None:
        """The block up to which its newest record holds.

        What its token does not tell ends before; so does what is native, where that is read every few blocks only.
        """
        if chain_id not in self._chains:
            return None
        (_, sure), natives_read, held = self._chains[chain_id]
        if holding.token == NATIVE and natives_read is not None:
            sure = min(sure, natives_read.held(holding))
        return min(sure, held.get(holding, sure))


def _reached(status: StreamStatus) -> Reached:
    return status.reached or Reached(status.block, status.block or 0)
