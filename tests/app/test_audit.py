"""An audit on a real chain: what is right passes, what was tampered with is found, what is pruned is said."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.app import audit as audits
from indexer.app.audit import BLOCKS_AT_ONCE, Auditor
from indexer.app.waiting import LONGEST_SECONDS, Waiting
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed
from indexer.domain.chain import NATIVE, BlockHash, Head, Holding, KnownBlock, TokenInfo
from indexer.domain.following.views import Readings
from indexer.domain.recording.audits import Audit
from indexer.domain.recording.records import BalanceRecord, Projection, RecordKey
from indexer.errors import BlockUnknown, Busy, NodeUnreachable, StateMissing, WrongChain
from repositories.store import Store, open_store
from tests.clients.evm.builders import node_at
from tests.fixtures.chain import wallets
from tests.sim.clock import play

WALLETS = wallets(3)


def record_at(head: Head, holding: Holding, balance: int, seq: int = 1) -> BalanceRecord:
    return BalanceRecord(31337, holding, balance, head.ref, None, "first", TokenInfo(), seq)


def auditor_of(store: Store, node: audits.Node, **more: Any) -> Auditor:
    waiting = more.pop("waiting", Waiting())
    chains = more.pop("chains", lambda: {"test": 31337})
    return Auditor(balances=store.balances, chains=chains, node=lambda _chain: node, waiting=waiting, **more)


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
        auditor = auditor_of(
            store,
            node,
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
        auditor = auditor_of(store, node)
        (difference,) = (await auditor.audit(10)).differing
        assert (difference.record, difference.read) == (record, None)


class Node:
    """Answers what it was told to."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0
        self.endpoint = "node"
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
        auditor = auditor_of(store, Node(error))
        audit = await auditor.audit(10)
        assert (audit.checked, audit.differing, audit.unreadable) == (0, (), 1)


async def test_a_chain_whose_node_follows_another_is_named_and_the_others_are_audited(tmp_path: Path) -> None:
    async with open_store("memory", "audit", tmp_path) as store:
        await put(store, STORED, replace(STORED, chain_id=5))
        nodes = {31337: Node(WrongChain("follows chain 5, not 1")), 5: Node(StateMissing("pruned"))}
        auditor = Auditor(
            balances=store.balances,
            chains=lambda: {"wrong": 31337, "fine": 5},
            node=lambda chain_id: nodes[chain_id],
            waiting=Waiting(),
        )
        audit = await auditor.audit(10)
        assert [(one.name, one.records, one.reason) for one in audit.unanswered] == [
            ("wrong", 1, "follows chain 5, not 1")
        ]
        assert (audit.unreadable, nodes[5].asked) == (2, 1)


async def test_a_node_that_is_known_to_be_dead_is_not_asked_for_every_block(tmp_path: Path) -> None:
    async with open_store("memory", "audit", tmp_path) as store:
        heads = [Head(number, BlockHash(f"0x{number:064x}"), HASH, 0) for number in range(30)]
        await put(store, *(record_at(head, Holding(NATIVE, WALLETS[0]), 1) for head in heads))
        node = Node(NodeUnreachable("down"))
        auditor = auditor_of(store, node)
        audit = await auditor.audit(100)
        assert audit.unreadable == 30
        assert [(one.name, one.endpoint, one.records, one.reason) for one in audit.unanswered] == [
            ("test", "node", 30, "down")
        ]
        assert node.asked <= BLOCKS_AT_ONCE


def test_a_node_that_never_answers_is_given_up_for_its_chain_and_holds_up_no_other(tmp_path: Path) -> None:
    """In virtual time: 30 blocks that each would be waited for, beside a chain that is read at once."""
    found: list[tuple[Audit, float]] = []

    async def story() -> None:
        async with open_store("memory", "audit", tmp_path) as store:
            heads = [Head(number, BlockHash(f"0x{number:064x}"), HASH, 0) for number in range(30)]
            silent, quick = Node(StateMissing("pruned")), Node(StateMissing("pruned"))
            silent.gate.clear()
            rows = [record_at(head, Holding(NATIVE, WALLETS[0]), 1) for head in heads]
            await put(store, *rows, *(replace(row, chain_id=5) for row in rows))
            nodes = {31337: silent, 5: quick}
            auditor = Auditor(
                balances=store.balances,
                chains=lambda: {"mute": 31337, "fine": 5},
                node=nodes.__getitem__,
                waiting=Waiting(),
            )
            loop = asyncio.get_running_loop()
            began, auditing = loop.time(), asyncio.create_task(auditor.audit(1000))
            await asyncio.sleep(3)
            (wait,) = auditor.waits or ()
            assert (wait.name, wait.records, round(wait.seconds)) == ("mute", 30, 3)
            found.append((await auditing, loop.time() - began))
            assert auditor.waits is None

    play(story())
    ((audit, seconds),) = found
    assert seconds < LONGEST_SECONDS + 1
    assert (audit.checked, audit.unreadable) == (0, 60)
    assert [(one.chain_id, one.records) for one in audit.unanswered] == [(31337, 30)]


async def test_as_many_are_read_as_asked_for_where_so_many_can_be(tmp_path: Path) -> None:
    async with open_store("memory", "audit", tmp_path) as store:
        heads = [Head(number, BlockHash(f"0x{number:064x}"), HASH, 0) for number in range(300)]
        rows = [record_at(head, Holding(NATIVE, WALLETS[0]), 1) for head in heads]
        derived = [replace(row, derived=True) for row in rows[20:]]
        await put(store, *rows[:20], *derived, *(replace(row, chain_id=5) for row in rows))
        auditor = auditor_of(store, Node(StateMissing("pruned")))
        audit = await auditor.audit(20)
        assert (audit.checked + audit.unreadable, audit.skipped) == (20, 0)
        audit = await auditor.audit(25)
        assert (audit.checked + audit.unreadable, audit.skipped) == (20, 5), "so many more are there"


async def test_records_of_chains_that_are_gone_are_left_alone(tmp_path: Path) -> None:
    async with open_store("memory", "audit", tmp_path) as store:
        await put(store, STORED)
        auditor = auditor_of(store, Node(ValueError()), chains=dict)
        assert (await auditor.audit(10)).unreadable == 0


async def test_a_second_audit_is_refused_while_one_goes_on(tmp_path: Path) -> None:
    async with open_store("memory", "audit", tmp_path) as store:
        await put(store, STORED)
        node = Node(StateMissing("pruned"))
        node.gate.clear()
        auditor = auditor_of(store, node)
        first = asyncio.create_task(auditor.audit(10))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await auditor.audit(10)
        node.gate.set()
        await first
        assert (await auditor.audit(10)).unreadable == 1
