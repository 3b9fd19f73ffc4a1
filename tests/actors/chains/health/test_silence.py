"""Trouble and silence are told once they last, and told to be over."""

from __future__ import annotations

from actors.messages import WatchChanged
from indexer.domain.balances import Watch
from indexer.domain.chain import Holding
from indexer.domain.following.feed import HeadsBack, HeadsLost
from indexer.domain.telling.facts import StreamLive, StreamStale
from indexer.errors import NodeUnreachable, StoreUnavailable
from tests.actors.chains.stage import BOB, USD, Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import OUTSIDE, WATCH


@in_virtual_time
async def test_silence_is_told_once_and_so_is_its_end() -> None:
    async with staged() as stage:
        stage.say(HeadsLost("nobody answers"))
        stage.say(HeadsLost("nobody answers"))
        await stage.settle()
        assert stage.state() == "stale"
        assert not stage.status.ready
        stage.say(HeadsBack("ws"))
        await stage.hear(stage.world.mine(busy=0))
        kinds = [type(fact) for fact in stage.facts if isinstance(fact, StreamStale | StreamLive)]
        assert kinds == [StreamStale, StreamLive]
        assert stage.state() == "live"


@in_virtual_time
async def test_silence_that_ends_after_a_restart_is_told_to_have_ended() -> None:
    async with staged() as stage:
        stage.say(HeadsLost("nobody answers"))
        await stage.settle()
        for _ in range(2):
            await stage.stop()
            stage.start()
            await stage.settle()
        kinds = [type(fact) for fact in stage.facts if isinstance(fact, StreamStale | StreamLive)]
        assert kinds == [StreamStale, StreamLive]


@in_virtual_time
async def test_silence_that_lasts_over_a_restart_is_not_told_again() -> None:
    async with staged() as stage:
        stage.say(HeadsLost("nobody answers"))
        await stage.settle()
        await stage.stop()
        stage.node.error = NodeUnreachable("still down")
        stage.start()
        await stage.settle(15)
        assert [type(fact) for fact in stage.facts if isinstance(fact, StreamStale | StreamLive)] == [StreamStale]
        assert stage.state() == "stale"


@in_virtual_time
async def test_trouble_that_lasts_is_stale_and_a_blip_is_not() -> None:
    async with staged() as stage:
        stage.node.error = NodeUnreachable("down")
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        assert not any(isinstance(fact, StreamStale) for fact in stage.facts)
        await stage.settle(15)
        assert stage.state() == "stale"
        stage.node.error = None
        await stage.settle(6)
        assert stage.state() == "live"
        assert [fact.change for fact in stage.updates()] == [1]


@in_virtual_time
async def test_heads_that_arrive_do_not_hide_that_nothing_can_be_read() -> None:
    async with staged() as stage:
        stage.node.error = NodeUnreachable("only the socket lives")
        for _ in range(40):
            await stage.hear(stage.world.mine(busy=0))
        assert stage.state() == "stale"
        stage.node.error = None
        await stage.hear(stage.world.mine(busy=0))
        assert stage.state() == "live"
        kinds = [type(fact) for fact in stage.facts if isinstance(fact, StreamStale | StreamLive)]
        assert kinds == [StreamStale, StreamLive]


@in_virtual_time
async def test_a_store_that_is_gone_shows_in_the_status_while_heads_wait() -> None:
    async with staged() as stage:
        kept = stage.store.commits.append

        async def append(_commit: object) -> None:
            raise StoreUnavailable("nobody answers there")

        stage.store.commits.append = append  # type: ignore[assignment,method-assign] # the store is gone
        for _ in range(6):
            await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        held_up = stage.status
        assert (held_up.state, held_up.ready, held_up.lag_blocks) == ("stale", False, 6)
        assert held_up.queue_depth == 6  # five heads, and what the node said of its tags meanwhile
        assert "nobody answers there" in str(held_up.last_error)
        stage.store.commits.append = kept  # type: ignore[method-assign]
        await stage.settle(6)
        well = stage.status
        assert (well.state, well.ready, well.lag_blocks, well.last_error) == ("live", True, 0, None)


@in_virtual_time
async def test_silence_that_ends_on_a_chain_that_mines_nothing_is_told_without_a_new_head() -> None:
    async with staged() as stage:
        stage.say(HeadsLost("nobody answers"))
        await stage.settle()
        stage.say(HeadsBack("poll"))
        await stage.settle()
        assert stage.state() == "live"
        assert isinstance(stage.facts[-1], StreamLive)


@in_virtual_time
async def test_a_tip_whose_state_is_gone_is_trouble_and_not_the_end() -> None:
    async with staged() as stage:
        stage.node.pruned_below = stage.world.tip.number + 1
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers | {OUTSIDE})))
        await stage.settle()
        assert "pruned" in str(stage.status.last_error)
        stage.node.pruned_below = 0
        await stage.settle(6)
        assert stage.status.last_error is None
        assert Holding(USD, OUTSIDE) in {fact.holding for fact in stage.updates("first")}


@in_virtual_time
async def test_a_node_that_is_down_at_the_start_is_asked_until_it_answers() -> None:
    stage = Stage()
    stage.node.error = NodeUnreachable("connection refused")
    stage.start()
    await stage.settle(30)
    assert stage.state() == "starting"
    assert "connection refused" in str(stage.status.last_error)
    stage.node.error = None
    await stage.settle(6)
    assert stage.status.ready
    assert stage.status.last_error is None
    await stage.stop()
