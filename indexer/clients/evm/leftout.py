"""Logs that an endpoint left out of an answer about a block that it has, found out by the block's bloom.

It happens where a block is announced before its logs are indexed. An empty list is a success, and nothing else in the
answer contradicts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from indexer.clients.evm.blooms import Sought
from indexer.clients.evm.calls import joined
from indexer.clients.evm.endpoints import Endpoints
from indexer.clients.evm.logs import Filters, transfers_at
from indexer.domain.chain import Head, Transfer
from indexer.errors import BadAnswer

_DOUBT_SECONDS: Final = 10.0


async def completed(
    endpoints: Endpoints,
    heads: Sequence[Head],
    found: Sequence[tuple[Transfer, ...]],
    filters: Filters,
    sought: Sought,
    hedge_seconds: float | None = None,
) -> Sequence[tuple[Transfer, ...]]:
    """What was found in each block; where its bloom names somebody else, asked once more, elsewhere if possible.

    A bloom also names those whom other events name: then the same is answered twice, and believed.
    """
    doubtful = [place for place, head in enumerate(heads) if sought.misses(head.bloom, found[place])]
    if not doubtful:
        return found
    first = endpoints.name
    again = await endpoints.ask(
        lambda limits: joined(
            [transfers_at(heads[place].hash, filters, limits, beside_reads=False) for place in doubtful]
        ),
        hedge_seconds=hedge_seconds,
        rather_not=first,
    )
    whole = list(found)
    for place, transfers in zip(doubtful, again, strict=True):
        whole[place] = _joined(found[place], transfers)
    if endpoints.name != first and any(len(whole[place]) > len(found[place]) for place in doubtful):
        endpoints.set_aside(first, BadAnswer("leaves out logs that another endpoint has"), _DOUBT_SECONDS)
    return whole


def _joined(some: tuple[Transfer, ...], others: tuple[Transfer, ...]) -> tuple[Transfer, ...]:
    """Both are of this very block, so each log is there once whoever told it."""
    logs = {transfer.log_index: transfer for transfer in (*some, *others)}
    return tuple(logs[index] for index in sorted(logs))
