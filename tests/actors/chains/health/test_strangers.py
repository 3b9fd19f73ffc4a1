"""Endpoints of another chain, and other processes that write the same stream."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from actors.messages import Resumed
from indexer.domain.chain import BlockHash, ChainIdentity
from indexer.domain.following.feed import HeadsBack, HeadsLost
from indexer.domain.health.status import EndpointTrouble
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import StreamLive, StreamStale
from indexer.errors import BeginsAnew, Fenced, WrongChain
from tests.actors.chains.stage import BOB, STRANGE, USD, Stage, staged
from tests.actors.fakes import TIME
from tests.sim.clock import in_virtual_time
from tests.sim.service import STREAM
from tests.sim.world import CHAIN_ID, OUTSIDE


@in_virtual_time
async def test_another_chain_is_refused_and_taken_when_it_was_corrected() -> None:
    stage = Stage()
    stage.node.chain_id = CHAIN_ID + 1
    stage.start()
    await stage.settle()
    assert stage.state() == "suspended"
    assert f"chain {CHAIN_ID + 1}, not {CHAIN_ID}" in str(stage.status.last_error)
    assert not stage.commits
    stage.node.chain_id = CHAIN_ID
    await stage.settle(61)
    assert stage.status.ready
    await stage.stop()


@in_virtual_time
async def test_another_genesis_is_not_taken_for_a_reorg() -> None:
    stage = Stage()
    stage.disk.kept.geneses[CHAIN_ID] = BlockHash("0xother")
    stage.start()
    await stage.settle()
    assert stage.state() == "suspended"
    assert not stage.commits
    await stage.stop()


@in_virtual_time
async def test_where_endpoints_disagree_about_the_genesis_at_the_first_start_most_decide_and_it_is_logged() -> None:
    stage = Stage()
    ours, strange = ChainIdentity(CHAIN_ID, stage.world.genesis), ChainIdentity(CHAIN_ID, STRANGE)
    stage.node.voices = {"one": strange, "two": ours, "three": ours}
    with capture_logs() as lines:
        stage.start()
        await stage.settle()
    assert stage.status.ready
    assert stage.disk.kept.geneses == {CHAIN_ID: stage.world.genesis}
    assert stage.node.expected == stage.world.genesis
    (disputed,) = [line for line in lines if line["event"] == "genesis_disputed"]
    assert (disputed["log_level"], disputed["by"], disputed["others"]) == ("error", "majority", {"one": STRANGE})
    await stage.stop()


@in_virtual_time
async def test_a_chain_of_which_nobody_tells_heads_any_more_but_strangers_is_suspended_until_it_is_back() -> None:
    async with staged() as stage:
        stage.node.error = WrongChain("sim: another genesis")
        stage.say(HeadsLost("nobody answers"))
        stage.say(HeadsLost("sim: another genesis", is_wrong_chain=True))
        await stage.settle(1)
        assert (stage.state(), stage.status.last_error) == ("suspended", "sim: another genesis")
        await stage.settle(30)
        assert stage.state() == "suspended"
        stage.node.error = None
        stage.say(HeadsBack("poll"))
        await stage.settle(6)
        assert stage.status.ready
        assert [type(fact) for fact in stage.facts if isinstance(fact, StreamStale | StreamLive)] == [
            StreamStale,
            StreamLive,
        ]


@in_virtual_time
async def test_nobody_is_asked_what_chain_it_follows_where_the_store_knows_that() -> None:
    stage = Stage()
    stage.disk.kept.geneses[CHAIN_ID] = stage.world.genesis
    strange = ChainIdentity(CHAIN_ID, STRANGE)
    stage.node.voices = {"one": strange, "two": strange}
    stage.start()
    await stage.settle()
    assert stage.status.ready
    await stage.stop()


@in_virtual_time
async def test_endpoints_that_are_not_well_are_shown() -> None:
    async with staged() as stage:
        stage.node.troubles = (EndpointTrouble("two", "lost", "HTTP 401"),)
        await stage.hear(stage.world.mine())
        assert stage.status.troubles == stage.node.troubles


@in_virtual_time
async def test_a_stranger_with_our_id_is_left_for_an_endpoint_that_is_ours() -> None:
    stage = Stage()
    stage.disk.kept.geneses[CHAIN_ID] = stage.world.genesis
    stage.node.genesis = BlockHash("0xother")
    stage.start()
    await stage.settle()
    assert stage.status.ready
    await stage.stop()


@in_virtual_time
async def test_a_chain_that_is_suspended_is_told_as_stale_and_live_again_soon_after() -> None:
    async with staged() as stage:
        stage.node.error = WrongChain("all endpoints follow another chain")
        stage.say_next()
        await stage.settle(1)
        assert stage.state() == "suspended"
        assert [type(fact) for fact in stage.facts if isinstance(fact, StreamStale | StreamLive)] == [StreamStale]
        stage.node.error = None
        await stage.settle(6)
        assert stage.status.ready
        assert [type(fact) for fact in stage.facts if isinstance(fact, StreamStale | StreamLive)] == [
            StreamStale,
            StreamLive,
        ]


@in_virtual_time
async def test_a_second_writer_makes_us_step_down_for_good() -> None:
    async with staged() as stage:

        async def append(_commit: object) -> None:
            raise Fenced("another process writes chain:7")

        stage.store.commits.append = append  # type: ignore[assignment,method-assign] # the other writer was faster
        told = len(stage.facts)
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        assert stage.state() == "stopped"
        assert not stage.status.ready
        assert len(stage.facts) == told


@in_virtual_time
async def test_what_an_earlier_process_wrote_unanswered_and_arrives_late_is_no_other_writer() -> None:
    stage = Stage()
    stage.world.mine()
    late = Commit("late", STREAM, 1, TIME, (StreamStale(CHAIN_ID, "the end of an earlier life", 1),))

    class Arriving(list[Resumed]):
        """Said when the log was read."""

        def append(self, _resumed: Resumed) -> None:
            stage.disk.kept.commits.append(late)

    stage.resumed = Arriving()
    stage.start()
    await asyncio.sleep(1)
    assert [type(death) for death in stage.deaths] == [BeginsAnew]
    assert not stage.ref.is_alive()
