"""The same service inside somebody's own program, and the client that follows one through restarts."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from indexer import Indexer, load
from indexer.client import Event, IndexerClient, Snapshot
from indexer.demo.contracts import deploy
from indexer.domain.balances import BalanceUpdated
from indexer.domain.telling.commits import Event as Told
from indexer.errors import Impossible, NotFound
from tests.e2e import truth
from tests.e2e.service import running, until
from tests.e2e.world import World
from tests.fixtures.chain import wallets
from tests.fixtures.mongo import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]

RNG = random.Random(9)  # noqa: S311 - a script, not a secret


@asynccontextmanager
async def _embedded(home: World, tmp_path: Path) -> AsyncIterator[Indexer]:
    settings = load(home.config(tmp_path).write(), os.environ)
    async with Indexer(settings, serve=False) as indexer:
        async with asyncio.timeout(40):
            await indexer.ready()
        yield indexer


async def test_a_program_asks_and_listens_without_http(home: World, tmp_path: Path) -> None:
    async with _embedded(home, tmp_path) as indexer:
        assert indexer.url is None
        heard: list[Told] = []
        answers: list[int] = []

        async def on_update(event: Told) -> None:
            assert isinstance(event.fact, BalanceUpdated)
            heard.append(event)
            # What was told can be read: also from inside the listener.
            record = await indexer.current_balance(31337, *event.fact.holding)
            assert record is not None
            assert record.seq >= event.seq
            answers.append(record.balance)

        unlisten = indexer.listen(on_update)
        for _ in range(5):
            await home.stir(RNG)
        number = int((await home.anvil.block())["number"], 16)
        await home.token.send("mint", home.cold, 1)
        await home.anvil.mine()
        await until(lambda: any(e.fact.block.number == number + 1 for e in heard if isinstance(e.fact, BalanceUpdated)))
        await until(lambda: len(answers) == len(heard))
        for token, wallet in home.holdings():
            record = await indexer.current_balance("first", token.lower(), wallet.lower())
            assert record is not None
            assert record.balance == await truth.balance(home.anvil, token, wallet)
            rows = await indexer.history("first", token, wallet)
            values = await truth.balances(home.anvil, [(token, wallet, row.block.hash) for row in rows])
            assert [row.balance for row in rows] == values
            stats = (await indexer.stats("first", token, wallet)).records
            assert stats is not None
            assert (stats.count, stats.last, stats.maximum) == (len(rows), values[0], max(values))
        unlisten()
        before = len(heard)
        await home.token.send("mint", home.cold, 1)
        await home.anvil.mine()
        await until(lambda: _has(indexer, home, number + 2))
        assert len(heard) == before


async def test_a_program_adds_what_is_watched_and_it_stays(home: World, tmp_path: Path) -> None:
    wallet = wallets(1, 0x8000)[0]
    late = await deploy(home.anvil, "PlainToken", "Later", "LTR", 2)
    await late.send("mint", wallet, 55)
    await home.anvil.mine()
    async with _embedded(home, tmp_path) as indexer:
        heard: asyncio.Queue[Told] = asyncio.Queue()
        indexer.listen(heard.put_nowait)
        await indexer.add_solver("late", wallet.lower(), chains=["first"])
        (token,) = await indexer.add_tokens("first", [late.address])
        assert token.info.symbol == "LTR"
        with pytest.raises(Impossible, match="no code"):
            await indexer.add_tokens("first", [wallets(1, 0x8100)[0]])
        with pytest.raises(NotFound, match="nowhere"):
            await indexer.current_balance("nowhere", "native", wallet)
        async with asyncio.timeout(40):
            while (await heard.get()).fact.holding != (late.address, wallet):  # type: ignore[union-attr] # all are updates
                pass
    async with _embedded(home, tmp_path) as again:
        record = await again.current_balance("first", late.address, wallet)
        assert record is not None
        assert record.balance == 55
        await again.remove_solver("late")
        await again.remove_token("first", late.address)


async def _has(indexer: Indexer, home: World, number: int) -> bool:
    record = await indexer.current_balance("first", home.token.address, home.cold)
    return record is not None and record.block.number == number


async def test_the_client_resumes_over_restarts_and_kills(home: World, tmp_path: Path) -> None:
    config = home.config(tmp_path, service={"port": free_port()})
    async with running(config) as service:
        events: list[Event] = []
        snapshots: list[Snapshot] = []
        others: list[object] = []
        following = asyncio.create_task(_follow(service.url, events, snapshots, others))
        try:
            await until(lambda: snapshots)
            for round_ in range(2):
                for _ in range(3):
                    await home.stir(RNG)
                if round_ % 2:
                    await service.kill()
                else:
                    assert await service.end() == 0
                for _ in range(3):
                    await home.stir(RNG)
                await service.start()
            await home.stir(RNG, 6)
            await service.followed(home.anvil)
            log = await service.events(home.stream)
            await until(lambda: events and events[-1].seq == log[-1]["seq"])
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        assert others == []
        assert [event.id for event in events] == [each["id"] for each in log[snapshots[0].positions[home.stream] :]]
        assert [dict(event.data) for event in events] == [each["data"] for each in log[-len(events) :]]


async def _follow(url: str, events: list[Event], snapshots: list[Snapshot], others: list[object]) -> None:
    async with IndexerClient(url) as client, aclosing(client.events(snapshot=True)) as messages:
        async for message in messages:
            match message:
                case Event():
                    events.append(message)
                case Snapshot():
                    snapshots.append(message)
                case _:
                    others.append(message)
