"""Reads random records again at their own blocks: what is stored must be what the chain says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

import structlog

from indexer.domain.audits import Audit, Difference
from indexer.domain.chain import BlockHash, BlockRef, Head, Holding, KnownBlock
from indexer.domain.records import BalanceRecord
from indexer.domain.views import Readings
from indexer.errors import BlockUnknown, Busy, StateMissing, Transient

log = structlog.get_logger(__name__)

BLOCKS_AT_ONCE: Final = 4
"""An audit is in no hurry: live reads go through the same endpoints."""


class Node(Protocol):
    """Reads balances at exactly the block asked for."""

    @property
    def outage(self) -> str | None: ...

    async def headers(self, first: int, last: int) -> tuple[Head, ...]: ...

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]: ...


class Balances(Protocol):
    """Where the records are."""

    async def sample(self, count: int) -> list[BalanceRecord]: ...

    async def at_block(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None: ...


class Auditor:
    """One audit at a time: a second one is refused with `Busy`."""

    def __init__(
        self,
        *,
        balances: Balances,
        chains: Callable[[], Collection[int]],
        node: Callable[[int], Node],
        audited: Callable[[int, int, int], None] = lambda _chain, _records, _differing: None,
    ) -> None:
        self._balances = balances
        self._chains = chains
        self._node = node
        self._audited = audited
        self._is_busy = False

    async def audit(self, count: int) -> Audit:
        if self._is_busy:
            raise Busy("an audit is going on already; wait until it is done")
        self._is_busy = True
        try:
            return await self._audit(await self._balances.sample(count))
        finally:
            self._is_busy = False

    async def _audit(self, sample: Sequence[BalanceRecord]) -> Audit:
        known = [record for record in sample if record.chain_id in self._chains()]
        blocks: dict[tuple[int, BlockRef], list[BalanceRecord]] = {}
        for record in known:
            if not record.derived:
                blocks.setdefault((record.chain_id, record.block), []).append(record)
        gate = asyncio.Semaphore(BLOCKS_AT_ONCE)
        parts = await asyncio.gather(*(self._block(gate, *at, records) for at, records in blocks.items()))
        whole = Audit(
            checked=sum(part.checked for part in parts),
            differing=tuple(difference for part in parts for difference in part.differing),
            unreadable=sum(part.unreadable for part in parts),
            skipped=sum(record.derived for record in known),
        )
        log.info("audited", records=whole.checked, differing=len(whole.differing), unreadable=whole.unreadable)
        return whole

    async def _block(
        self, gate: asyncio.Semaphore, chain_id: int, block: BlockRef, records: Sequence[BalanceRecord]
    ) -> Audit:
        async with gate:
            if self._node(chain_id).outage is not None:
                return Audit(0, (), len(records), 0)  # each block would be waited for as long as the first
            try:
                values = await self._read(chain_id, block, [record.holding for record in records])
            except (StateMissing, Transient):
                return Audit(0, (), len(records), 0)
            readable = [record for record in records if values is None or record.holding in values]
            suspects = [Difference(record, None if values is None else values[record.holding]) for record in readable]
            differing = [
                one for one in suspects if one.read != one.record.balance and await self._is_stored(one.record)
            ]
        self._audited(chain_id, len(readable), len(differing))
        for one in differing:
            log.warning("audit_differs", chain=chain_id, block=block.number, stored=one.record.balance, read=one.read)
        return Audit(len(readable), tuple(differing), len(records) - len(readable), 0)

    async def _read(self, chain_id: int, block: BlockRef, holdings: Sequence[Holding]) -> Mapping[Holding, int] | None:
        """Nothing where another block has this number now: then the records should have gone with theirs."""
        node = self._node(chain_id)
        try:
            return (await node.read({block: holdings})).get(block.hash, Readings()).values
        except BlockUnknown:
            (canonical,) = await node.headers(block.number, block.number)
            if canonical.hash == block.hash:
                raise
            return None

    async def _is_stored(self, record: BalanceRecord) -> bool:
        """Not taken back or replaced meanwhile, as in a reorg."""
        now = await self._balances.at_block(record.chain_id, record.holding, record.block.number)
        return now is not None and (now.block, now.balance) == (record.block, record.balance)
