"""A write that is refused in the midst of a refresh: nothing goes on from what is taken over and not written."""

from __future__ import annotations

import asyncio

import pytest

from actors.base import end
from actors.messages import Refresh
from indexer.domain.chain import Holding
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import StreamStale
from indexer.errors import BeginsAnew, Fenced, Impossible, StoreUnusable
from tests.actors.chains.stage import ALICE, BOB, USD, Stage, staged
from tests.actors.fakes import TIME
from tests.sim.clock import in_virtual_time
from tests.sim.service import STREAM
from tests.sim.world import CHAIN_ID, OUTSIDE

ASKED = Refresh(Holding(USD, ALICE))


def _another_writes(stage: Stage, seq: int) -> Commit:
    theirs = Commit("theirs", STREAM, seq, TIME, (StreamStale(CHAIN_ID, "of another process", 1),))
    stage.disk.kept.commits.append(theirs)
    return theirs


@in_virtual_time
async def test_another_writer_is_left_alone_also_where_a_refresh_meets_it() -> None:
    async with staged() as stage:
        theirs = _another_writes(stage, stage.commits[-1].last_seq + 1)
        stage.world.pay(USD, OUTSIDE, BOB, 1)
        with pytest.raises(Fenced):
            await stage.ref.ask(ASKED, block=False)
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        assert stage.disk.kept.commits[-1] == theirs
        assert stage.state() == "stopped"
        with pytest.raises(Impossible):
            await stage.ref.ask(ASKED, block=False)


@in_virtual_time
async def test_a_write_of_an_earlier_life_that_a_refresh_meets_first_is_read_by_the_next_life() -> None:
    async with staged() as stage:
        await stage.stop()
        stage.start()
        await stage.settle()
        theirs = _another_writes(stage, stage.commits[-1].last_seq + 1)
        stage.world.pay(USD, OUTSIDE, BOB, 1)
        with pytest.raises(Fenced):
            await stage.ref.ask(ASKED, block=False)
        await asyncio.sleep(1)
        assert [type(death) for death in stage.deaths] == [BeginsAnew]
        assert stage.disk.kept.commits[-1] == theirs


@in_virtual_time
async def test_what_a_refresh_found_and_could_not_write_is_found_by_the_next_life() -> None:
    async with staged() as stage:
        append, refused = stage.store.commits.append, list[Commit]()

        async def once_refused(commit: Commit) -> None:
            if not refused:
                refused.append(commit)
                raise StoreUnusable("the store refuses us")
            await append(commit)

        stage.store.commits.append = once_refused  # type: ignore[method-assign] # its rights are given back soon
        stage.world.pay(USD, OUTSIDE, BOB, 1)
        with pytest.raises(StoreUnusable):
            await stage.ref.ask(ASKED, block=False)
        await asyncio.sleep(1)
        assert [type(death) for death in stage.deaths] == [StoreUnusable]
        stage.deaths.clear()
        stage.start()
        await stage.settle()
        assert [(fact.change, fact.cause) for fact in stage.updates()] == [(1, "transfer")]
        assert stage.disk.kept.commits == stage.commits


@in_virtual_time
async def test_who_was_fenced_off_leaves_the_checkpoint_to_the_other_writer() -> None:
    async with staged() as stage:
        kept = await stage.store.checkpoints.load(STREAM)
        _another_writes(stage, stage.commits[-1].last_seq + 1)
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        assert stage.state() == "stopped"
        await end(stage.ref, 1)
        assert await stage.store.checkpoints.load(STREAM) == kept
