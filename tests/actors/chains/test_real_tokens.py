"""What odd tokens leave unexplained, on a real chain through a real store: fees, rebases, mints without a log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from actors.chains.beside.quiet import Quiet
from actors.chains.beside.syncing import Syncer
from actors.chains.books.ledger import Ledger
from actors.chains.following import Follower
from actors.finishing import Finisher
from actors.messages import Differed, Failed
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import deploy
from indexer.domain.balances import Watch
from indexer.domain.chain import Address, Holding
from indexer.domain.recording.records import BalanceRecord, fold
from indexer.domain.telling.commits import Commit
from indexer.metrics import Metrics
from repositories.store import Store, open_store
from tests.clients.evm.builders import node_at
from tests.fixtures.chain import wallets
from tests.sim.service import Infos

pytestmark = pytest.mark.node

OURS, OTHER = wallets(2)


class Desk:
    """A follower on anvil; `step` mines a block, follows it and projects what it brought."""

    def __init__(self, anvil: Anvil, follower: Follower, store: Store, commits: list[Commit], metrics: Metrics) -> None:
        self.metrics = metrics
        self._anvil, self.follower, self._store, self._commits = anvil, follower, store, commits

    async def step(self) -> None:
        await self._anvil.mine()
        await self.follower.follow(await self.follower._node.newest())

    async def sync(self, during: Callable[[], Awaitable[object]] | None = None) -> None:
        """One round of the periodic read; `during` happens while its block gets older."""
        syncer = Syncer(
            chain="anvil",
            node=self.follower._node,
            followed=self.follower.followed,
            records=self.follower._ledger,
            seconds=60,
            may=lambda: True,
            breathe=Quiet().moment,
            jitter=lambda: 0.0,
        )
        said: list[Differed | Failed] = []
        reading = asyncio.create_task(syncer.round(said.append))
        while not reading.done():
            if during is not None:
                await during()
            await self.step()
            await asyncio.sleep(0.05)
        assert reading.result() is None
        for one in said:
            self.follower.doubt(one)
        await self.read_due()

    async def read_due(self) -> None:
        assert self.follower.tip is not None
        await self.follower.reader.read_due(self.follower.tip)

    @property
    def drift(self) -> int:
        counted = 'indexer_drift_balances_total{chain="anvil"} '
        (line,) = [one for one in self.metrics.render()[0].decode().splitlines() if one.startswith(counted)]
        return int(float(line.removeprefix(counted)))

    async def newest(self, token: Address) -> BalanceRecord:
        return (await self.history(token))[0]

    async def history(self, token: Address) -> Sequence[BalanceRecord]:
        await self._store.books.project(fold(self._commits))
        return await self._store.balances.history(self._anvil.chain_id, Holding(token, OURS), limit=100)


@pytest.fixture
async def desk(anvil: Anvil, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_store("memory", "odd", tmp_path) as store, node_at(anvil.http_url) as node:
        commits: list[Commit] = []
        metrics = Metrics()
        ledger = Ledger(
            stream="chain:31337",
            chain_id=anvil.chain_id,
            window=64,
            commits=store.commits,
            checkpoints=store.checkpoints,
            books=store.balances,
            finisher=Finisher(log=store.commits, publish=commits.append),
            publish=commits.append,
        )
        follower = Follower(
            name="anvil",
            chain_id=anvil.chain_id,
            node=node,
            ledger=ledger,
            tokens=Infos(),
            book=store.chains,
            watch=Watch(solvers=frozenset({OURS})),
            window=64,
            native_interval=1,
            metrics=metrics.chain("anvil"),
        )
        await follower.load()
        introducing = asyncio.create_task(follower.introducer.run(lambda _changed: None))
        yield Desk(anvil, follower, store, commits, metrics)
        introducing.cancel()


async def watching(desk: Desk, token: Address) -> None:
    await desk.follower.rewatch(Watch(frozenset({token}), frozenset({OURS})))
    await desk.step()
    await desk.read_due()


async def test_a_fee_on_transfer_is_what_the_logs_leave(anvil: Anvil, desk: Desk) -> None:
    token = await deploy(anvil, "FeeToken")
    await watching(desk, token.address)
    await token.send("mint", OTHER, 10_000)
    await token.send("move", OTHER, OURS, 1_000)
    await desk.step()
    record = await desk.newest(token.address)
    assert [(log.sender, log.recipient, log.amount) for log in record.transfers] == [(OTHER, OURS, 1_000)]
    assert record.transfers[0].block_number == record.block.number
    assert (record.change, record.unexplained) == (990, -10)


async def test_in_and_out_that_a_fee_evens_out_is_carried_to_the_next_record(anvil: Anvil, desk: Desk) -> None:
    token = await deploy(anvil, "FeeToken")
    await watching(desk, token.address)
    await token.send("mint", OTHER, 10_000)
    await token.send("move", OTHER, OURS, 1_000)
    await desk.step()
    before = await desk.newest(token.address)
    await token.send("move", OTHER, OURS, 100)
    await token.send("move", OURS, OTHER, 99)
    await desk.step()
    assert (await desk.newest(token.address)).block == before.block
    await token.send("mint", OURS, 5)
    await desk.step()
    record = await desk.newest(token.address)
    assert [log.amount for log in record.transfers] == [100, 99, 5]
    assert (record.change, record.unexplained) == (5, -1)


async def test_a_rebase_has_no_logs_and_explains_nothing(anvil: Anvil, desk: Desk) -> None:
    token = await deploy(anvil, "RebasingToken")
    await watching(desk, token.address)
    await token.send("mint", OURS, 1_000)
    await desk.step()
    assert (await desk.newest(token.address)).unexplained == 0
    await token.send("rebase", 2 * 10**18)
    await desk.step()
    await desk.sync()
    record = await desk.newest(token.address)
    assert (record.cause, record.transfers, record.change, record.unexplained) == ("sync", (), 1_000, 1_000)
    assert record.block == (desk.follower.tip and desk.follower.tip.ref)
    assert desk.drift == 1


async def test_what_transfers_changed_since_the_block_that_is_read_is_no_drift(anvil: Anvil, desk: Desk) -> None:
    token = await deploy(anvil, "SilentToken")
    await watching(desk, token.address)
    await desk.sync(during=lambda: token.send("mint", OURS, 7))
    assert (await desk.newest(token.address)).cause == "transfer"
    assert desk.drift == 0


async def test_a_silent_mint_among_transfers_is_found_by_the_next_of_them(anvil: Anvil, desk: Desk) -> None:
    token = await deploy(anvil, "SilentToken")
    await watching(desk, token.address)
    await token.send("mintSilently", OURS, 700)
    await desk.step()
    await desk.sync(during=lambda: token.send("mint", OURS, 7))
    history = await desk.history(token.address)
    assert {record.cause for record in history} == {"first", "transfer"}
    assert [record.unexplained for record in history if record.unexplained] == [700]
    assert desk.drift == 0


async def test_a_silent_mint_shows_beside_the_log_that_made_us_look(anvil: Anvil, desk: Desk) -> None:
    token = await deploy(anvil, "SilentToken")
    await watching(desk, token.address)
    await token.send("mintSilently", OURS, 700)
    await desk.step()
    await token.send("mint", OURS, 1)
    await desk.step()
    record = await desk.newest(token.address)
    assert [log.amount for log in record.transfers] == [1]
    assert (record.change, record.unexplained) == (701, 700)
