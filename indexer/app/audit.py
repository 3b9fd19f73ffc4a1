"""Reads random records again at their own blocks: what is stored must be what the chain says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

import structlog

from indexer.app.waiting import Waiting, together
from indexer.domain.chain import BlockHash, BlockRef, Head, Holding, KnownBlock
from indexer.domain.following.views import Readings
from indexer.domain.recording.audits import Audit, Difference, Unanswered, Wait
from indexer.domain.recording.records import BalanceRecord
from indexer.errors import BlockUnknown, Busy, NodeUnreachable, StateMissing, Transient, WrongChain

log = structlog.get_logger(__name__)

BLOCKS_AT_ONCE: Final = 4
"""Of each chain. An audit is in no hurry: live reads go through the same endpoints."""


class Node(Protocol):
    """Reads balances at exactly the block asked for."""

    @property
    def endpoint(self) -> str: ...

    @property
    def outage(self) -> str | None: ...

    async def headers(self, first: int, last: int) -> tuple[Head, ...]: ...

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]: ...


class Balances(Protocol):
    """Where the records are."""

    async def sample(self, count: int, chains: Collection[int]) -> list[BalanceRecord]: ...

    async def derived(self, chains: Collection[int], most: int) -> int: ...

    async def at_block(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None: ...


class Auditor:
    """One audit at a time: a second one is refused with `Busy`. `chains` are the ids of those that are configured."""

    def __init__(
        self,
        *,
        balances: Balances,
        chains: Callable[[], Mapping[str, int]],
        node: Callable[[int], Node],
        waiting: Waiting,
        audited: Callable[[int, int, int], None] = lambda _chain, _records, _differing: None,
    ) -> None:
        self._balances = balances
        self._chains = chains
        self._node = node
        self._waiting = waiting
        self._audited = audited
        self._parts: tuple[_Part, ...] | None = None

    @property
    def waits(self) -> Sequence[Wait] | None:
        """What the audit that goes on still waits for, chain by chain; nothing (not even an empty list) without one."""
        return None if self._parts is None else tuple(part.wait for part in self._parts if part.left)

    async def audit(self, count: int) -> Audit:
        if self._parts is not None:
            raise Busy("an audit is going on already; wait until it is done")
        self._parts = ()
        try:
            return await self._audit(*await self._drawn(count))
        finally:
            self._parts = None

    async def _drawn(self, count: int) -> tuple[Sequence[BalanceRecord], int]:
        """What can be read; where that is not enough, how many more were derived from logs, and cannot."""
        chains = set(self._chains().values())
        sample = await self._balances.sample(count, chains)
        missing = count - len(sample)
        return sample, await self._balances.derived(chains, missing) if missing else 0

    async def _audit(self, sample: Sequence[BalanceRecord], derived: int) -> Audit:
        names = {chain_id: name for name, chain_id in self._chains().items()}
        read: dict[int, list[BalanceRecord]] = {}
        for record in sample:
            if record.chain_id in names:  # still: a reload may have taken it out meanwhile
                read.setdefault(record.chain_id, []).append(record)
        self._parts = parts = tuple(self._part(chain_id, names[chain_id], read[chain_id]) for chain_id in read)
        whole = _sum((Audit(0, (), 0, derived), *await together(*(part.audit() for part in parts))))
        log.info("audited", records=whole.checked, differing=len(whole.differing), unreadable=whole.unreadable)
        return whole

    def _part(self, chain_id: int, name: str, records: Sequence[BalanceRecord]) -> _Part:
        return _Part(
            chain_id=chain_id,
            name=name,
            records=records,
            node=self._node(chain_id),
            balances=self._balances,
            waiting=self._waiting,
            audited=self._audited,
        )


class _Part:
    """The records of one chain; its node holds up nobody else, and itself not for ever."""

    def __init__(
        self,
        *,
        chain_id: int,
        name: str,
        records: Sequence[BalanceRecord],
        node: Node,
        balances: Balances,
        waiting: Waiting,
        audited: Callable[[int, int, int], None],
    ) -> None:
        self.left = len(records)
        self._chain_id = chain_id
        self._name = name
        self._node = node
        self._balances = balances
        self._waiting = waiting
        self._audited = audited
        self._blocks: dict[BlockRef, list[BalanceRecord]] = {}
        for record in records:
            self._blocks.setdefault(record.block, []).append(record)
        self._gate = asyncio.Semaphore(BLOCKS_AT_ONCE)
        self._given_up: str | None = None
        self._unanswered = 0
        self._answered_at = asyncio.get_running_loop().time()

    @property
    def wait(self) -> Wait:
        seconds = asyncio.get_running_loop().time() - self._answered_at
        return Wait(self._chain_id, self._name, self._node.endpoint, self.left, seconds)

    async def audit(self) -> Audit:
        found = await together(*(self._block(block, records) for block, records in self._blocks.items()))
        if self._given_up is None:
            return _sum(found)
        lost = Unanswered(self._chain_id, self._name, self._node.endpoint, self._unanswered, self._given_up)
        log.warning("audit_unanswered", chain=self._chain_id, records=lost.records, reason=lost.reason)
        return replace(_sum(found), unanswered=(lost,))

    async def _block(self, block: BlockRef, records: Sequence[BalanceRecord]) -> Audit:
        async with self._gate:
            try:
                return await self._compared(block, records)
            finally:
                self.left -= len(records)

    async def _compared(self, block: BlockRef, records: Sequence[BalanceRecord]) -> Audit:
        if self._given_up is not None:
            return self._left_out(records)
        try:
            values = await self._waited_for(block, [record.holding for record in records])
        except NodeUnreachable:
            # Each of the other blocks would be waited for as long as this one.
            self._given_up = self._node.outage or "it does not answer"
            return self._left_out(records)
        except WrongChain as error:
            self._given_up = str(error)
            return self._left_out(records)
        except (StateMissing, Transient):
            self._answered_at = asyncio.get_running_loop().time()
            return Audit(0, (), len(records), 0)
        self._answered_at = asyncio.get_running_loop().time()
        readable = [record for record in records if values is None or record.holding in values]
        suspects = [Difference(record, None if values is None else values[record.holding]) for record in readable]
        differing = [one for one in suspects if one.read != one.record.balance and await self._is_stored(one.record)]
        self._audited(self._chain_id, len(readable), len(differing))
        for one in differing:
            stored = one.record.balance
            log.warning("audit_differs", chain=self._chain_id, block=block.number, stored=stored, read=one.read)
        return Audit(len(readable), tuple(differing), len(records) - len(readable), 0)

    def _left_out(self, records: Sequence[BalanceRecord]) -> Audit:
        self._unanswered += len(records)
        return Audit(0, (), len(records), 0)

    async def _waited_for(self, block: BlockRef, holdings: Sequence[Holding]) -> Mapping[Holding, int] | None:
        reading = self._read(block, holdings)
        return await self._waiting.answer(reading, f"chain {self._chain_id}", lambda: self._node.outage)

    async def _read(self, block: BlockRef, holdings: Sequence[Holding]) -> Mapping[Holding, int] | None:
        """Nothing where another block has this number now: then the records should have gone with theirs."""
        try:
            return (await self._node.read({block: holdings})).get(block.hash, Readings()).values
        except BlockUnknown:
            (canonical,) = await self._node.headers(block.number, block.number)
            if canonical.hash == block.hash:
                raise
            return None

    async def _is_stored(self, record: BalanceRecord) -> bool:
        """Not taken back or replaced meanwhile, as in a reorg."""
        now = await self._balances.at_block(record.chain_id, record.holding, record.block.number)
        return now is not None and (now.block, now.balance) == (record.block, record.balance)


def _sum(parts: Iterable[Audit]) -> Audit:
    parts = tuple(parts)
    return Audit(
        checked=sum(part.checked for part in parts),
        differing=tuple(one for part in parts for one in part.differing),
        unreadable=sum(part.unreadable for part in parts),
        skipped=sum(part.skipped for part in parts),
        unanswered=tuple(one for part in parts for one in part.unanswered),
    )
