"""An answer that is overdue is told while the question is still open, and never beside another commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

from actors.messages import Refresh
from indexer.domain.balances import Watch
from indexer.domain.chain import Head, Holding
from indexer.domain.following.views import BlockView
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import StreamLive, StreamStale
from indexer.errors import Fenced, NodeUnreachable
from tests.actors.chains.stage import BOB, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import OUTSIDE

PATIENCE_SECONDS = 3.0


def hang(stage: Stage, seconds: float, error: Exception | None = None) -> None:
    """The next question about a block is answered, or refused, so much later."""
    look = stage.node.look

    async def hanging(heads: Sequence[Head], watch: Watch, *, natives: bool = True) -> tuple[BlockView, ...]:
        stage.node.look = look  # type: ignore[method-assign] # the next one is quick again
        await asyncio.sleep(seconds)
        if error is not None:
            raise error
        return await look(heads, watch, natives=natives)

    stage.node.look = hanging  # type: ignore[method-assign] # a node that is stopped, not gone


def told(stage: Stage) -> list[str]:
    return [type(fact).__name__ for fact in stage.facts if isinstance(fact, StreamStale | StreamLive)]


@in_virtual_time
async def test_a_node_that_hangs_with_a_question_in_flight_is_told_in_time() -> None:
    async with staged() as stage:
        hang(stage, 15, NodeUnreachable("no answer"))
        stage.say_next()
        await stage.settle(PATIENCE_SECONDS - 0.1)
        assert (stage.state(), told(stage)) == ("live", [])
        await stage.settle(0.2)
        assert (stage.state(), stage.status.ready, told(stage)) == ("stale", False, ["StreamStale"])
        assert "no answer from sim for 3 s" in str(stage.status.last_error)
        await stage.settle(20)
        assert (stage.state(), stage.status.ready, told(stage)) == ("live", True, ["StreamStale", "StreamLive"])


@in_virtual_time
async def test_what_the_endpoints_say_is_told_where_they_do_answer() -> None:
    async with staged() as stage:
        hang(stage, 15, NodeUnreachable("sim: HTTP 401"))
        stage.say_next()
        await stage.settle(PATIENCE_SECONDS - 0.1)
        stage.node.outage = "sim: HTTP 401"
        await stage.settle(0.2)
        assert (stage.state(), stage.status.last_error) == ("stale", "sim: HTTP 401")
        (stale,) = [fact for fact in stage.facts if isinstance(fact, StreamStale)]
        assert stale.reason == "sim: HTTP 401"


@in_virtual_time
async def test_an_answer_that_was_only_slow_is_taken_and_all_is_well_again() -> None:
    async with staged() as stage:
        hang(stage, 10)
        stage.say_next()
        await stage.settle(11)
        assert told(stage) == ["StreamStale", "StreamLive"]
        assert [fact.change for fact in stage.updates()] == [1]
        assert (stage.state(), stage.status.last_error) == ("live", None)
        assert all(before.last_seq + 1 == after.first_seq for before, after in pairwise(stage.commits))


@in_virtual_time
async def test_an_answer_waits_until_what_is_said_of_it_is_written() -> None:
    async with staged() as stage:
        append, writing = stage.store.commits.append, 0

        async def slowly(commit: Commit) -> None:
            nonlocal writing
            writing += 1
            assert writing == 1
            await asyncio.sleep(2)
            await append(commit)
            writing -= 1

        stage.store.commits.append = slowly  # type: ignore[method-assign] # a slow store
        hang(stage, PATIENCE_SECONDS + 1)
        stage.say_next()
        await stage.settle(20)
        assert told(stage) == ["StreamStale", "StreamLive"]
        assert [fact.change for fact in stage.updates()] == [1]


@in_virtual_time
async def test_a_slow_refresh_leaves_nothing_stale_behind() -> None:
    async with staged() as stage:
        newest = stage.node.newest

        async def slow() -> Head:
            await asyncio.sleep(5)
            return await newest()

        stage.node.newest = slow  # type: ignore[method-assign] # hangs for a while
        asked = stage.ref.ask(Refresh(Holding(USD, BOB)), block=False)
        await stage.settle(4)
        stage.node.newest = newest  # type: ignore[method-assign] # quick again
        await asked
        await stage.settle()
        assert told(stage) == ["StreamStale", "StreamLive"]
        assert stage.state() == "live"


@in_virtual_time
async def test_another_writer_that_is_met_while_we_wait_makes_us_step_down() -> None:
    async with staged() as stage:

        async def fenced(commit: Commit) -> None:
            raise Fenced(f"{commit.first_seq} is taken")

        stage.store.commits.append = fenced  # type: ignore[method-assign] # another process writes
        hang(stage, 10)
        stage.say_next()
        await stage.settle(12)
        assert stage.state() == "stopped"


@in_virtual_time
async def test_a_start_that_takes_long_is_not_called_stale() -> None:
    stage = Stage()
    stage.world.mine()
    hang_at_the_start = stage.node.identity

    async def slow() -> object:
        await asyncio.sleep(10)
        return await hang_at_the_start()

    stage.node.identity = slow  # type: ignore[method-assign, assignment] # the first question
    stage.start()
    await stage.settle(9)
    assert stage.statuses == []
    await stage.settle(9)
    assert (stage.state(), told(stage)) == ("live", [])
    await stage.stop()


@in_virtual_time
async def test_a_kill_while_it_is_said_leaves_no_task_behind() -> None:
    async with staged() as stage:
        before = asyncio.all_tasks()

        async def never(commit: Commit) -> None:
            await asyncio.sleep(3600 + commit.first_seq)

        stage.store.commits.append = never  # type: ignore[method-assign] # the store hangs as well
        hang(stage, 3600)
        stage.say_next()
        await stage.settle(10)
        clock = asyncio.get_running_loop().time
        began = clock()
        await stage.stop()
        assert clock() - began < 15
        await stage.finisher.close()  # who lives longer has what was being said
        assert asyncio.all_tasks() <= before


@in_virtual_time
async def test_a_question_that_fails_beside_an_overdue_one_cuts_no_commit_short() -> None:
    """Before a rollback two are open at once; the writer that both wait for goes on to its end."""
    async with staged() as stage:
        append = stage.store.commits.append

        async def slowly(commit: Commit) -> None:
            await append(commit)
            await asyncio.sleep(2)

        async def refused(_tip: Head) -> bool:
            await asyncio.sleep(PATIENCE_SECONDS + 1)
            raise NodeUnreachable("gone")

        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 5))
        is_disputed = stage.node.is_disputed
        stage.store.commits.append = slowly  # type: ignore[method-assign] # a slow store
        stage.node.is_disputed = refused  # type: ignore[method-assign] # fails while it is said that it is late
        stage.world.canonical.pop()
        stage.say_next()
        await stage.settle(PATIENCE_SECONDS + 2)
        stage.node.is_disputed = is_disputed  # type: ignore[method-assign] # well again
        await stage.settle(30)
        assert stage.state() == "live"
        assert told(stage) == ["StreamStale", "StreamLive"]
        assert all(before.last_seq + 1 == after.first_seq for before, after in pairwise(stage.commits))
