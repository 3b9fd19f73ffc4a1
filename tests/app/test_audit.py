"""An audit on a real chain: what is right passes, what was tampered with is found, what is pruned is said."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.app.audit import BLOCKS_AT_ONCE, Auditor
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed
from indexer.domain.chain import NATIVE, BlockHash, Head, Holding, KnownBlock, TokenInfo
from indexer.domain.records import BalanceRecord, Projection, RecordKey
from indexer.domain.views import Readings
from indexer.errors import BlockUnknown, Busy, NodeUnreachable, StateMissing
from repositories.store import Store, open_store
from tests.clients.builders import node_at
from tests.fixtures.chain import wallets

WALLETS = wallets(3)


def record_at(head: Head, holding: Holding, balance: int, seq: int = 1) -> BalanceRecord:
    return BalanceRecord(31337, holding, balance, head.ref, None, "first", TokenInfo(), seq)


async def put(store: Store, *records: BalanceRecord) -> None:
    rows = {RecordKey(row.chain_id, row.holding, row.block.number): row for row in records}
    await store.balances.project(Projection(records=rows))


@pytest.mark.node
async def test_a_record_that_was_tampered_with_is_found(anvil: Anvil, token: Deployed, tmp_path: Path) -> None:
    counted: list[tuple[int, int, int]] = []
    async with open_store("memory", "audit", tmp_path) as store, node_at(anvil.http_url) as node:
        records = []
        for number, wallet in enumerate(WALLETS, 1):
            await token.send("mint", wallet, number)
            await anvil.mine()
            head = await node.newest()
            records += [
                record_at(head, Holding(token.address, wallet), number),
                record_at(head, Holding(NATIVE, wallet), 0),
            ]
        await put(store, *records)
        auditor = Auditor(
            balances=store.balances,
            chains=lambda: (31337,),
            node=lambda _chain: node,
            audited=lambda *counts: counted.append(counts),
        )
        clean = await auditor.audit(100)
        assert (clean.checked, clean.differing, clean.unreadable, clean.skipped) == (6, (), 0, 0)
        await put(store, replace(records[2], balance=99, seq=2), replace(records[4], derived=True, seq=2))
        found = await auditor.audit(100)
        assert (found.checked, found.skipped) == (5, 1)
        ((record, read),) = [(one.record, one.read) for one in found.differing]
        assert (record.holding, record.balance, read) == (records[2].holding, 99, 2)
        assert sum(differing for _, _, differing in counted) == 1


@pytest.mark.node
async def test_a_record_of_an_orphaned_block_is_found(anvil: Anvil, token: Deployed, tmp_path: Path) -> None:
    async with open_store("memory", "audit", tmp_path) as store, node_at(anvil.http_url) as node:
        await token.send("mint", WALLETS[0], 5)
        await anvil.mine()
        record = record_at(await node.newest(), Holding(token.address, WALLETS[0]), 5)
        await put(store, record)
        await anvil.rpc("anvil_reorg", 1, [])
        auditor = Auditor(balances=store.balances, chains=lambda: (31337,), node=lambda _chain: node)
        (difference,) = (await auditor.audit(10)).differing
        assert (difference.record, difference.read) == (record, None)


class Node:
    """Answers what it was told to."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0
        self.outage: str | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def headers(self, first: int, last: int) -> tuple[Head, ...]:
        return tuple(Head(number, HASH, HASH, 0) for number in range(first, last + 1))

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
        assert wanted
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.error, NodeUnreachable):
            self.outage = str(self.error)
        raise self.error


HASH = BlockHash("0x" + "ab" * 32)
STORED = record_at(Head(7, HASH, HASH, 0), Holding(NATIVE, WALLETS[0]), 1)


@pytest.mark.parametrize("error", [StateMissing("pruned"), NodeUnreachable("down"), BlockUnknown("it lags")])
async def test_what_no_endpoint_can_tell_is_unreadable_and_no_difference(error: Exception, tmp_path: Path) -> None:
    async with open_store("memory", "audit", tmp_path) as store:
        await put(store, STORED)
        auditor = Auditor(balances=store.balances, chains=lambda: (31337,), node=lambda _chain: Node(error))
        audit = await auditor.audit(10)
        assert (audit.checked, audit.differing, audit.unreadable) == (0, (), 1)


async def test_a_node_that_is_known_to_be_dead_is_not_asked_for_every_block(tmp_path: Path) -> None:
    async with open_store("memory", "audit", tmp_path) as store:
        heads = [Head(number, BlockHash(f"0x{number:064x}"), HASH, 0) for number in range(30)]
        await put(store, *(record_at(head, Holding(NATIVE, WALLETS[0]), 1) for head in heads))
        node = Node(NodeUnreachable("down"))
        auditor = Auditor(balances=store.balances, chains=lambda: (31337,), node=lambda _chain: node)
        assert (await auditor.audit(100)).unreadable == 30
        assert node.asked <= BLOCKS_AT_ONCE


async def test_records_of_chains_that_are_gone_are_left_alone(tmp_path: Path) -> None:
    async with open_store("memory", "audit", tmp_path) as store:
        await put(store, STORED)
        auditor = Auditor(balances=store.balances, chains=lambda: (), node=lambda _chain: Node(ValueError()))
        assert (await auditor.audit(10)).unreadable == 0


async def test_a_second_audit_is_refused_while_one_goes_on(tmp_path: Path) -> None:
    async with open_store("memory", "audit", tmp_path) as store:
        await put(store, STORED)
        node = Node(StateMissing("pruned"))
        node.gate.clear()
        auditor = Auditor(balances=store.balances, chains=lambda: (31337,), node=lambda _chain: node)
        first = asyncio.create_task(auditor.audit(10))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await auditor.audit(10)
        node.gate.set()
        await first
        assert (await auditor.audit(10)).unreadable == 1
