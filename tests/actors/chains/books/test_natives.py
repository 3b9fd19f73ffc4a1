"""Native balances that are read every few blocks: where a change is recorded, and what is said where it cannot be."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from structlog.testing import capture_logs

from actors.base import cut_short
from actors.chains.books.natives import natives_recorded
from actors.messages import Differed, WatchChanged
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, BlockHash, BlockRef, Head, Holding, KnownBlock, TokenInfo
from indexer.domain.following.views import Readings
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.resuming.checkpoints import SilentCut
from indexer.domain.telling.facts import StreamResync
from indexer.errors import StateMissing
from tests.actors.chains.stage import Stage, staged
from tests.domain.samples import block_hash
from tests.sim.clock import in_virtual_time
from tests.sim.service import STREAM
from tests.sim.world import WALLETS, WATCH

COIN = Holding(NATIVE, WALLETS[1])


def recorded(stage: Stage, holding: Holding = COIN) -> list[tuple[int, int, str]]:
    return [(fact.block.number, fact.balance, fact.cause) for fact in stage.updates() if fact.holding == holding]


async def quiet(stage: Stage, blocks: int) -> None:
    """Announced one by one."""
    for _ in range(blocks):
        await stage.hear(stage.world.mine(busy=0))


def rendered(stage: Stage) -> str:
    return stage.metrics.render()[0].decode()


@in_virtual_time
async def test_a_change_below_the_reorg_window_is_recorded_at_its_own_block() -> None:
    async with staged(native_interval=30, window=8) as stage:
        await quiet(stage, 3)
        first = stage.world.put(COIN, 5)
        await stage.hear(first)
        await quiet(stage, 2)
        second = stage.world.put(COIN, 9)
        await stage.hear(second)
        await quiet(stage, 30)
        assert recorded(stage) == [(first.number, 5, "native"), (second.number, 9, "native")]
        assert stage.status.incidents.search is None


@in_virtual_time
async def test_headers_of_a_long_interval_are_asked_for_in_pieces() -> None:
    async with staged(native_interval=700, window=8) as stage:
        asked: list[int] = []
        headers = stage.node.headers

        async def counted(first: int, last: int, beside: BlockRef | None = None) -> tuple[Head, ...]:
            asked.append(last - first + 1)
            return await headers(first, last, beside)

        stage.node.headers = counted  # type: ignore[method-assign] # to see how much is asked at once
        paid = stage.world.put(COIN, 5)
        stage.world.mine(busy=0)
        for _ in range(720):
            stage.world.mine(busy=0)
        await stage.hear(stage.world.tip)
        await stage.settle(10)
        assert recorded(stage) == [(paid.number, 5, "native")]
        assert sum(asked) > 690
        assert max(asked) <= 256


@in_virtual_time
async def test_headers_that_are_not_of_our_chain_are_asked_for_again() -> None:
    async with staged(native_interval=30, window=8) as stage:
        paid = stage.world.put(COIN, 5)
        await stage.hear(paid)
        headers, lies = stage.node.headers, [1, 2]

        async def torn(first: int, last: int, beside: BlockRef | None = None) -> tuple[Head, ...]:
            found = await headers(first, last, beside)
            return found[:-1] if lies and lies.pop() else found

        stage.node.headers = torn  # type: ignore[method-assign] # an endpoint that is reorganised meanwhile
        await quiet(stage, 32)
        await stage.settle(5)
        assert not lies, "an answer was not believed, and neither was the next"
        assert recorded(stage) == [(paid.number, 5, "native")]


@in_virtual_time
async def test_where_the_state_between_is_gone_it_is_said_by_cause_log_metric_and_status() -> None:
    async with staged(native_interval=10) as stage:
        with capture_logs() as lines:
            paid = stage.world.put(COIN, 5)
            await stage.hear(paid)
            _forget(stage)
            await quiet(stage, 12)
            assert [(balance, cause) for _, balance, cause in recorded(stage)] == [(5, "sync")]
            at = recorded(stage)[0][0]
            assert at > paid.number
            failure = stage.status.incidents.search
            assert failure is not None
            assert failure.block == at
            assert "pruned" in failure.reason
            assert 'indexer_native_search_failures_total{chain="sim"} 1.0' in rendered(stage)
            await stage.hear(stage.world.put(COIN, 6))
            await quiet(stage, 12)
            assert [(balance, cause) for _, balance, cause in recorded(stage)] == [(5, "sync"), (6, "sync")]
            assert 'indexer_native_search_failures_total{chain="sim"} 2.0' in rendered(stage)
        assert [line["event"] for line in lines].count("native_search_failed") == 1


@in_virtual_time
async def test_what_a_full_read_sees_before_it_is_due_is_no_drift() -> None:
    """Also where its block cannot be searched."""
    async with staged(native_interval=1_000) as stage:
        await quiet(stage, 5)
        await stage.hear(stage.world.put(COIN, 5))
        await quiet(stage, 5)
        _forget(stage)
        stage.ref.tell(Differed(frozenset({COIN})))
        await stage.settle()
        assert recorded(stage) == [(stage.world.tip.number, 5, "sync")]
        assert 'indexer_drift_balances_total{chain="sim"} 0.0' in rendered(stage)


@in_virtual_time
async def test_what_changed_while_nobody_watched_is_not_put_into_the_interval() -> None:
    async with staged(native_interval=10) as stage:
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers - {COIN.solver})))
        await stage.hear(stage.world.put(COIN, 5))
        await quiet(stage, 14)
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle()
        assert recorded(stage) == [(stage.world.tip.number, 5, "sync")]
        assert stage.status.incidents.search is None


@in_virtual_time
async def test_what_could_not_be_searched_is_remembered_by_the_next_life() -> None:
    async with staged(native_interval=10) as stage:
        await stage.hear(stage.world.put(COIN, 5))
        _forget(stage)
        await quiet(stage, 12)
        failure = stage.status.incidents.search
        assert failure is not None
        await stage.stop()
        stage.start()
        await stage.settle()
        assert stage.status.incidents.search == failure


@in_virtual_time
async def test_a_deep_reorg_stays_in_the_status_and_in_that_of_the_next_life() -> None:
    async with staged(window=5) as stage:
        for _ in range(12):
            await stage.hear(stage.world.mine())
        stage.world.reorg(11)
        await stage.hear(stage.world.mine())
        await stage.settle(30)
        told = stage.status.incidents.resync
        assert told is not None
        assert (told.reason, told.block) == ("a reorg deeper than the window", stage.world.tip.number)
        assert [told.at] == [
            commit.time for commit in stage.commits if any(isinstance(fact, StreamResync) for fact in commit.facts)
        ]
        for _ in range(40):
            await stage.hear(stage.world.mine())
        await stage.stop()
        stage.start()
        await stage.settle()
        assert stage.status.incidents.resync == told


async def until_read(stage: Stage) -> int:
    """Blocks in which nothing happens, until one of them is that of a reading."""
    await quiet(stage, 1)
    while not _is_read(stage, stage.world.tip.number):
        await quiet(stage, 1)
    return stage.world.tip.number


async def came_and_went(stage: Stage) -> int:
    """A balance that was another for three blocks, between two readings; the block at which it came."""
    await until_read(stage)
    await quiet(stage, 2)
    came = stage.world.put(COIN, 500)
    await stage.hear(came)
    await quiet(stage, 2)
    await stage.hear(stage.world.put(COIN, 0))
    await until_read(stage)
    assert recorded(stage) == [], "that is what the interval gives up"
    return came.number


async def leave(stage: Stage, ancestor: int) -> None:
    """For a branch on which nothing happens."""
    depth = stage.world.tip.number - ancestor
    del stage.world.canonical[-depth:]
    for _ in range(depth):
        stage.world.mine(busy=0)
    await quiet(stage, 1)


@pytest.mark.parametrize("restarts", [False, True])
@in_virtual_time
async def test_a_reorg_goes_back_to_the_last_reading_that_there_was(restarts: bool) -> None:
    """Not to the ancestor, where nobody had read; what was not taken back there is found where it happened."""
    async with staged(native_interval=10, window=64) as stage:
        came = await came_and_went(stage)
        if restarts:
            await stage.stop()
            stage.start()
            await stage.settle()
        await leave(stage, came + 2)
        await until_read(stage)
        assert recorded(stage) == [(came, 500, "native")]


@in_virtual_time
async def test_what_is_recorded_since_the_reading_that_a_reorg_goes_back_to_is_not_recorded_again() -> None:
    async with staged(native_interval=10, window=64) as stage:
        await until_read(stage)
        await quiet(stage, 2)
        first = stage.world.put(COIN, 7)
        await stage.hear(first)
        await quiet(stage, 3)
        fork = stage.world.tip.number
        second = stage.world.put(COIN, 9)
        await stage.hear(second)
        await until_read(stage)
        del stage.world.canonical[-(stage.world.tip.number - fork) :]
        third = stage.world.put(COIN, 11)
        for _ in range(8):
            stage.world.mine(busy=0)
        await stage.hear(stage.world.tip)
        await until_read(stage)
        numbers = (first.number, second.number, third.number)
        assert recorded(stage) == [(number, held, "native") for number, held in zip(numbers, (7, 9, 11), strict=True)]


@in_virtual_time
async def test_a_life_that_was_killed_in_a_reorg_goes_on_from_the_last_reading_that_there_was() -> None:
    async with staged(native_interval=10, window=64) as stage:
        came = await came_and_went(stage)
        other = Holding(NATIVE, WALLETS[2])
        await stage.hear(stage.world.put(other, 3))
        await until_read(stage)
        kept = stage.disk.kept.checkpoints[STREAM]
        await leave(stage, came + 2)
        cut_short(stage.ref)
        stage.disk.kept.checkpoints[STREAM] = kept  # the commit that tells of the reorg is the last that was written
        stage.start()
        await stage.settle()
        await until_read(stage)
        assert recorded(stage) == [(came, 500, "native")]


def _is_read(stage: Stage, number: int) -> bool:
    read = stage.status.natives_read
    return read is not None and read.at == number


def _forget(stage: Stage) -> None:
    """Of its newest block alone the node has the state from now on."""
    read = stage.node.read

    async def reading(wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
        if any(block.hash != stage.world.tip.hash for block in wanted):
            raise StateMissing("the state of that block is pruned")
        return await read(wanted)

    stage.node.read = reading  # type: ignore[method-assign] # a node that prunes at once


@pytest.mark.parametrize(("told", "known_at"), [(3, 8), (4, 12)])
def test_a_cut_that_no_commit_tells_of_reaches_only_what_was_told_before_it(told: int, known_at: int) -> None:
    record = BalanceRecord(1, COIN, 5, BlockRef(12, block_hash(12), 0), 1, "native", TokenInfo(), told)
    assert natives_recorded({COIN: record}, (), (SilentCut(10, 3),), 8) == {COIN: known_at}
    assert natives_recorded({COIN: record}, (), (SilentCut(13, 9),), 8) == {COIN: 12}
