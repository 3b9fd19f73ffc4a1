"""History that was before the service started, on a real chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from indexer.addresses import checksum
from indexer.app import Indexer
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed, deploy
from indexer.domain.chain import Holding
from indexer.domain.recording.records import BalanceRecord
from tests.fixtures.chain import wallets
from tests.history.service import consistent, filled, history, odd, running, settings

pytestmark = [pytest.mark.node]

ALICE, BOB, CAROL = wallets(3)


async def some_history(anvil: Anvil, token: Deployed) -> dict[str, dict[int, int]]:
    """Twelve blocks of transfers among three wallets; what each of them had after every block that changed it."""
    said: dict[str, dict[int, int]] = {ALICE: {}, BOB: {}, CAROL: {}}
    moves: tuple[tuple[Any, ...], ...] = (
        ("mint", ALICE, 100), ("move", ALICE, BOB, 30), (), ("move", BOB, CAROL, 30), ("move", ALICE, ALICE, 5),
        (), ("mint", CAROL, 7), ("move", CAROL, ALICE, 37), (), ("move", ALICE, BOB, 1), ("mint", BOB, 2), (),
    )  # fmt: skip
    for name, *args in (move or ("",) for move in moves):
        if name:
            await token.send(name, *args)
        await anvil.mine()
        number = int((await anvil.block())["number"], 16)
        for wallet, rows in said.items():
            balance = await token.balance(wallet)
            if balance != (list(rows.values()) or [0])[-1]:
                rows[number] = balance
    return said


@pytest.fixture(params=["archive", "pruned"])
async def chain(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Anvil, bool]]:
    args = () if request.param == "archive" else ("--prune-history", "3")
    async with Anvil(args=args) as node:
        yield node, request.param == "archive"


async def test_history_is_filled_from_the_start_block(chain: tuple[Anvil, bool], tmp_path: Path) -> None:
    anvil, is_archive = chain
    token = await deploy(anvil, "PlainToken", "Demo Dollar", "DUSD", 6)
    said = await some_history(anvil, token)
    tip = int((await anvil.block())["number"], 16)
    async with running(settings(anvil, tmp_path, (token.address,), (ALICE, BOB, CAROL), start_block=0)) as service:
        await filled(service)
        for wallet, balances in said.items():
            rows = await history(service, token.address, wallet)
            assert {row.block.number: row.balance for row in rows if row.block.number < tip} == balances
            assert rows[-1].block.number == tip
            consistent(rows)
            assert [row.cause for row in rows] == ["first", *["transfer"] * (len(rows) - 2), "sync"]
            assert all(row.transactions for row in rows[:-1])
            for row in rows:
                assert row.block.hash == (await anvil.block(row.block.number))["hash"]
            assert all(not row.derived for row in rows if is_archive or row.block.number > tip - 2)
            assert is_archive or all(row.derived for row in rows if row.block.number < tip - 4)


async def test_a_solver_added_while_running_gets_its_own_history(anvil: Anvil, token: Deployed, tmp_path: Path) -> None:
    said = await some_history(anvil, token)
    async with running(settings(anvil, tmp_path, (token.address,), (ALICE,), start_block=1)) as service:
        first = await filled(service)
        assert await history(service, token.address, BOB) == []
        await service.add_solver("bob", BOB)
        jobs = await filled(service, 4)
        assert {holding.solver for job in jobs if job not in first for holding in job.holdings} == {BOB}
        rows = await history(service, token.address, BOB)
        assert {row.block.number: row.balance for row in rows[:-1]} == said[BOB]
        consistent(rows)


@pytest.mark.parametrize("start_block", [0, None])
async def test_what_nobody_watched_is_filled_in_when_it_is_watched_again(
    anvil: Anvil, token: Deployed, tmp_path: Path, start_block: int | None
) -> None:
    """By itself with a start block, and by an order without an upper end."""
    start: dict[str, Any] = {} if start_block is None else {"start_block": start_block}
    async with running(settings(anvil, tmp_path, (token.address,), (ALICE,), **start)) as service:
        await service.add_solver("bob", BOB)
        await _until(service, token, bool)
        await some_history(anvil, token)
        await _until(service, token, lambda rows: rows[-1].balance == 3)
        await service.remove_solver("bob")
        missed = list((await some_history(anvil, token))[BOB])[1:]  # of the first block it only says what was before
        await service.add_solver("bob", BOB)
        await _until(service, token, lambda rows: any(row.apart for row in rows))
        if start_block is None:
            await service.control.backfill(anvil.chain_id, None, checksum(BOB), 0, None)
        await _until(service, token, lambda rows: {row.block.number for row in rows}.issuperset(missed))
        await filled(service, 1)
        consistent(await history(service, token.address, BOB))


async def _until(service: Indexer, token: Deployed, fits: Callable[[list[BalanceRecord]], bool]) -> None:
    while not fits(await history(service, token.address, BOB)):  # noqa: ASYNC110 - the store is asked
        await asyncio.sleep(0.02)


async def test_a_token_added_while_running_gets_its_own_history(anvil: Anvil, token: Deployed, tmp_path: Path) -> None:
    said = await some_history(anvil, token)
    async with running(settings(anvil, tmp_path, (), (ALICE, BOB), start_block=0)) as service:
        await filled(service, 1)
        await service.add_tokens("local", [token.address])
        await filled(service, 2)
        for wallet in (ALICE, BOB):
            rows = await history(service, token.address, wallet)
            assert {row.block.number: row.balance for row in rows[:-1]} == said[wallet]


async def test_a_live_change_in_the_very_first_block_joins_history(
    anvil: Anvil, token: Deployed, tmp_path: Path
) -> None:
    """The first live record is of a block that moved the balance: it gets its change and its transaction."""
    await token.send("mint", ALICE, 100)
    await anvil.mine()
    moved = await token.send("move", ALICE, BOB, 30)
    await anvil.mine()
    async with running(settings(anvil, tmp_path, (token.address,), (ALICE, BOB), start_block=0)) as service:
        await filled(service)
        rows = await history(service, token.address, ALICE)
        assert [(row.balance, row.change, row.cause) for row in rows] == [(100, None, "first"), (70, -30, "transfer")]
        assert rows[-1].transactions == (moved,)
        # Nobody had it before: there is nothing older, and the live record stays the first.
        assert [(row.balance, row.change) for row in await history(service, token.address, BOB)] == [(30, None)]


async def test_live_records_go_on_where_history_ends(anvil: Anvil, token: Deployed, tmp_path: Path) -> None:
    await some_history(anvil, token)
    async with running(settings(anvil, tmp_path, (token.address,), (ALICE, BOB), start_block=0)) as service:
        await filled(service)
        await token.send("mint", ALICE, 5)
        await anvil.mine()
        await service.control.refresh(anvil.chain_id, Holding(token.address, ALICE))
        rows = await history(service, token.address, ALICE)
        consistent(rows)
        assert rows[-1].change == 5


async def test_a_hole_that_an_earlier_order_left_is_filled(anvil: Anvil, token: Deployed, tmp_path: Path) -> None:
    said = await some_history(anvil, token)
    async with running(settings(anvil, tmp_path, (token.address,), (ALICE,))) as service:
        for last, jobs in ((4, 1), (None, 2)):
            await service.control.backfill(anvil.chain_id, token.address, None, 0, last)
            await filled(service, jobs)
            rows = await history(service, token.address, ALICE)
            assert {row.block.number: row.balance for row in rows[:-1]} == {
                number: balance for number, balance in said[ALICE].items() if last is None or number <= last
            }
        consistent(rows)


@pytest.mark.parametrize("args", [(), ("--prune-history", "1")], ids=["archive", "pruned"])
async def test_history_that_begins_in_the_middle(args: tuple[str, ...], tmp_path: Path) -> None:
    """With state it opens with a record of what was there; without, nobody can say, and it is said that nobody can."""
    async with Anvil(args=args) as anvil:
        token = await deploy(anvil, "PlainToken", "Demo Dollar", "DUSD", 6)
        await some_history(anvil, token)
        tip = int((await anvil.block())["number"], 16)
        async with running(settings(anvil, tmp_path, (token.address,), (ALICE, CAROL), start_block=4)) as service:
            jobs = await filled(service)
            alice = [(row.block.number, row.balance) for row in await history(service, token.address, ALICE)]
            carol = [(row.block.number, row.balance) for row in await history(service, token.address, CAROL)]
            # Carol had nothing before block 4, and got what Bob had in the next one.
            assert carol == [(5, 30), (8, 37), (9, 0), (tip, 0)]
            if not args:
                assert alice == [(4, 70), (9, 107), (11, 106), (tip, 106)]
                consistent(await history(service, token.address, ALICE))
            else:
                assert alice == [(tip, 106)]
                (reason,) = [why for job in jobs for holding, why in job.reasons.items() if holding.solver == ALICE
                             and holding.token == token.address]  # fmt: skip
                assert "leave 70 before block 4" in reason


async def test_native_history_is_read_where_there_is_state(anvil: Anvil, token: Deployed, tmp_path: Path) -> None:
    for wei in (5, 0, 9, 9, 2):
        await anvil.set_balance(ALICE, wei)
        await anvil.mine()
    await anvil.mine(100)
    async with running(settings(anvil, tmp_path, (token.address,), (ALICE,), start_block=0)) as service:
        await filled(service)
        rows = await history(service, "native", ALICE)
        assert [row.balance for row in rows] == [5, 0, 9, 2, 2]
        assert [row.cause for row in rows] == ["first", "native", "native", "native", "sync"]
        assert rows[-1].change == 0, "what was read first of all is not the first any more"
        assert not any(row.derived for row in rows)
        consistent(rows)


@pytest.mark.parametrize("kind", ["FeeToken", "RebasingToken"])
async def test_a_walk_that_does_not_add_up_is_told_and_not_guessed(kind: str, tmp_path: Path) -> None:
    async with Anvil(args=("--prune-history", "1")) as anvil:
        token = await odd(anvil, kind, ALICE, BOB)
        async with running(settings(anvil, tmp_path, (token.address,), (ALICE, BOB), start_block=0)) as service:
            events: list[object] = []
            service.listen(lambda event: events.append(event.fact), "history.filled")
            jobs = await filled(service)
            reasons = {
                holding.solver: why for job in jobs for holding, why in job.reasons.items() if holding.token != "native"
            }
            assert BOB in reasons
            tip = int((await anvil.block())["number"], 16)
            assert all(row.block.number >= tip - 2 for row in await history(service, token.address, BOB))
            for row in await history(service, token.address, ALICE) if ALICE not in reasons else []:
                assert row.balance >= 0


async def test_a_reorg_below_the_first_live_record_is_filled_again(
    anvil: Anvil, token: Deployed, tmp_path: Path
) -> None:
    await some_history(anvil, token)
    async with running(settings(anvil, tmp_path, (token.address,), (ALICE, BOB), start_block=0)) as service:
        await filled(service)
        depth = 6
        await anvil.reorg(depth)
        await anvil.mine(2)
        await service.control.refresh(anvil.chain_id, Holding(token.address, ALICE))
        while len(service.control.backfills()) < 4:  # noqa: ASYNC110 - nothing tells: it looks every two seconds
            await asyncio.sleep(0.05)
        await filled(service, 4)
        for wallet in (ALICE, BOB):
            rows = await history(service, token.address, wallet)
            for row in rows:
                assert row.block.hash == (await anvil.block(row.block.number))["hash"]
                assert row.balance == await token.balance(wallet, hex(row.block.number))
            consistent(rows)
