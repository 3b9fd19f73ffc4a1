"""The headers of blocks that were missed and, in the same request, what their logs hint at.

Without hints each of these blocks costs a node two calls at its state, since whom its tokens moved shows in its logs
only. So the logs of all of them are asked for by their numbers; they prove nothing (a node leaves out what it lacks, or
speaks of another branch), and each block's are asked for by its hash all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from indexer.clients.evm.asking.calls import Call, Limits, Plan, RangeTimedOut, Reply
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.clients.evm.judging.opinions import canonical, linked_headers
from indexer.clients.evm.transfers.hints import Hints
from indexer.clients.evm.transfers.logs import Filters
from indexer.domain.chain import BlockHash, Head, Holding
from indexer.errors import BadAnswer, ResponseTooLarge

_MOST_FILTERS: Final = 8
"""Beyond that many a range is no longer small beside the blocks themselves."""
_REST: Final = 50
"""So many spans are asked for without hints after they were refused: not every provider takes ranges."""


class Missed:
    """Remembers for how long hints are not asked for."""

    def __init__(self, endpoints: Endpoints, hints: Hints) -> None:
        self._endpoints = endpoints
        self._hints = hints
        self._rest = 0

    async def headers(self, first: int, last: int, filters: Filters, hedge_seconds: float | None) -> tuple[Head, ...]:
        """As `canonical` tells them; what is hinted at is noted for whoever looks at these blocks."""
        if self._rest > 0:
            self._rest -= 1
            return await canonical(self._endpoints, first, last, hedge_seconds)
        plain = linked_headers(first, last)

        def question(limits: Limits) -> Plan[tuple[Head, ...]]:
            inside = filters.encoded(limits.filter)
            logs = [_between(first, last, part) for part in inside] if len(inside) <= _MOST_FILTERS else []

            def read(replies: Sequence[Reply]) -> tuple[Head, ...]:
                heads = plain.read(replies[: len(plain.calls)])
                self._note(heads, replies[len(plain.calls) :], filters)
                return heads

            return Plan([*plain.calls, *logs], read)

        try:
            return await self._endpoints.ask(question, hedge_seconds=hedge_seconds)
        except (ResponseTooLarge, RangeTimedOut, BadAnswer):
            # Perhaps the range was too much, and the whole request was refused for it.
            self._rest = _REST
            return await canonical(self._endpoints, first, last, hedge_seconds)

    def _note(self, heads: Sequence[Head], replies: Sequence[Reply], filters: Filters) -> None:
        known = {head.hash for head in heads}
        for reply in replies:
            if reply.error is not None:
                self._rest = _REST
                return
            for log in reply.result if isinstance(reply.result, list) else ():
                self._note_log(log, known, filters)

    def _note_log(self, log: Any, known: set[BlockHash], filters: Filters) -> None:
        if not isinstance(log, dict):
            return
        block, ours = BlockHash(str(log.get("blockHash")).lower()), filters.wallets(log)
        if ours is not None and block in known:
            for wallet in ours[1]:
                self._hints.note(block, Holding(ours[0], wallet))


def _between(first: int, last: int, inside: bytes) -> Call:
    place = f'{{"fromBlock":"{hex(first)}","toBlock":"{hex(last)}",'.encode()
    return Call("eth_getLogs", [orjson.Fragment(place + inside + b"}")], 150 + len(inside), first < last)
