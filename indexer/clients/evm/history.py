"""The watched transfers of blocks that were before us: logs of many blocks, by their numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial
from typing import Any, Final

from indexer.clients.evm.calls import Plan, TakenApart, joined
from indexer.clients.evm.endpoints import NEVER, Endpoints
from indexer.clients.evm.leftout import Asked
from indexer.clients.evm.logs import Filters
from indexer.clients.evm.opinions import canonical, header_of
from indexer.clients.evm.ranges import logs_between, moved, moved_in, numbers_without_time, pieces
from indexer.domain.backfill import Moved
from indexer.domain.balances import Watch
from indexer.domain.chain import BlockHash, BlockRef, Head
from indexer.errors import BadAnswer, ResponseTooLarge

_TWO_BRANCHES: Final = "the chain was reorganised while its logs were read"


class History:
    """Asks for a range at a time; where even one block is too much, for a part of those who are watched."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    async def moved(self, first: int, last: int, watch: Watch, beside: BlockRef | None) -> tuple[Moved, ...]:
        """In order, as an endpoint tells them that has the block `beside`; `ResponseTooLarge` asks for fewer blocks."""
        filters = Filters(watch)
        try:
            logs = await self._logs_between(first, last, filters, beside)
        except TakenApart:
            heads = await canonical(self._endpoints, first, last, NEVER, beside)
            return await moved_in(self._endpoints, heads, Asked(watch))
        headers = await self._headers_at(numbers_without_time(logs))
        found: dict[tuple[int, int], Moved] = {}
        blocks: dict[str, BlockRef] = {}
        for piece in pieces(logs):
            for each in moved(piece, first, last, filters, headers, blocks):
                found[each.block.number, each.transfer.log_index] = each
            await asyncio.sleep(0)
        if len({block.number for block in blocks.values()}) < len(blocks):
            raise BadAnswer(_TWO_BRANCHES)
        return tuple(found[place] for place in sorted(found))

    async def _logs_between(self, first: int, last: int, filters: Filters, beside: BlockRef | None) -> list[Any]:
        """Each filter travels alone: a refusal of many at once would be taken for a limit of batches."""
        most = await self._endpoints.ask(lambda limits: Plan((), lambda _: limits.filter), hedge_seconds=NEVER)
        while True:
            logs: list[Any] = []
            ends: set[BlockHash] = set()
            try:
                for inside in filters.encoded(most):
                    question = partial(logs_between, first, last, inside, beside)
                    found, end = await self._endpoints.ask(question, hedge_seconds=NEVER)
                    logs += found
                    ends.add(end)
            except ResponseTooLarge:
                # Nothing is less than one block but a part of those who are watched.
                if first < last or most == 1:
                    raise
                most = max(1, min(most, filters.widest) // 2)
            else:
                if len(ends) > 1:
                    raise BadAnswer(_TWO_BRANCHES)
                return logs

    async def _headers_at(self, numbers: Collection[int]) -> dict[int, Head]:
        if not numbers:
            return {}
        heads = await self._endpoints.ask(
            lambda _: joined([header_of("eth_getBlockByNumber", hex(number)) for number in sorted(numbers)]),
            hedge_seconds=NEVER,
        )
        return {head.number: head for head in heads}
