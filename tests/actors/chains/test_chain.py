"""A chain's actor: what it does with heads, gaps, reorgs, orders and trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.messages import Refresh, Resumed, WatchChanged
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Address, BlockHash, ChainIdentity, Head, Holding
from indexer.domain.following.feed import HeadsBack, HeadsLost
from indexer.domain.following.finality import FINALIZED_DEPTH, SAFE_DEPTH, Settled, Tags
from indexer.domain.following.headchain import block_seconds
from indexer.domain.following.views import BlockView
from indexer.domain.health.status import EndpointTrouble
from indexer.domain.recording.records import HoldingKey
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, ChainFinalized, StreamLive, StreamResync, StreamStale
from indexer.errors import BlockUnknown, Fenced, Impossible, NodeUnreachable, StateMissing, StoreUnavailable, WrongChain
from tests.actors.chains.stage import Stage, staged
from tests.actors.fakes import TIME
from tests.sim.clock import in_virtual_time
from tests.sim.node import SimNode
from tests.sim.service import STREAM
from tests.sim.world import CHAIN_ID, OUTSIDE, TOKENS, WALLETS, WATCH

USD = TOKENS[0]
STRANGE = BlockHash("0x" + "5a" * 32)
ALICE, BOB, CAROL = WALLETS


@in_virtual_time
async def test_everything_watched_is_read_once_at_the_first_head() -> None:
    async with staged() as stage:
        firsts = stage.updates("first")
        assert {fact.holding for fact in firsts} == WATCH.holdings()
        assert {fact.block.hash for fact in firsts} == {stage.world.tip.hash}
        assert stage.state() == "live"
        assert stage.status.ready


@in_virtual_time
async def test_a_transfer_becomes_one_commit_with_its_transaction() -> None:
    async with staged() as stage:
        before = len(stage.commits)
        head = stage.world.pay(USD, ALICE, BOB, 4)
        await stage.hear(head)
        (commit,) = stage.commits[before:]
        assert [(fact.holding.solver, fact.change, fact.cause) for fact in stage.updates()] == [
            (ALICE, -4, "transfer"),
            (BOB, 4, "transfer"),
        ]
        assert {fact.transactions for fact in stage.updates()} == {(f"0x{head.number:064x}",)}
        assert commit.checkpoint is not None
        assert commit.checkpoint.head == head


@in_virtual_time
async def test_a_native_change_is_seen_without_any_log() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.put(Holding(NATIVE, BOB), 77))
        (fact,) = stage.updates()
        assert (fact.holding, fact.balance, fact.cause) == (Holding(NATIVE, BOB), 77, "native")


@in_virtual_time
async def test_a_block_of_nothing_is_one_question_and_a_surprise_two() -> None:
    async with staged() as stage:
        asked = stage.node.questions
        await stage.hear(stage.world.mine(busy=0))
        assert stage.node.questions - asked == 1
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        assert stage.node.questions - asked == 3


@in_virtual_time
async def test_a_repeated_head_asks_and_tells_nothing() -> None:
    async with staged() as stage:
        head = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(head)
        asked, told = stage.node.questions, len(stage.facts)
        await stage.hear(head, head)
        assert (stage.node.questions, len(stage.facts)) == (asked, told)


@in_virtual_time
async def test_missed_heads_are_fetched_before_the_new_one() -> None:
    async with staged() as stage:
        heads = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(100)]
        await stage.hear(heads[-1])
        assert [fact.block.hash for fact in stage.updates()] == [head.hash for head in heads]
        assert stage.status.lag_blocks == 0


@in_virtual_time
async def test_a_reorg_is_a_retraction_and_then_the_new_branch() -> None:
    async with staged() as stage:
        ancestor = stage.world.tip
        orphan = stage.world.pay(USD, OUTSIDE, BOB, 5)
        await stage.hear(orphan)
        told = len(stage.facts)
        stage.world.canonical.pop()
        await stage.hear(stage.world.pay(USD, OUTSIDE, CAROL, 6))
        reverted, *updates = stage.facts[told:]
        assert isinstance(reverted, BalanceReverted)
        assert reverted.block == ancestor.ref
        assert [row.hash for row in reverted.orphaned] == [orphan.hash]
        assert [(fact.holding.solver, fact.change) for fact in updates] == [(CAROL, 6)]  # type: ignore[union-attr] # updates
        assert not any(row.block.hash == orphan.hash for row in stage.disk.kept.records.values())


@in_virtual_time
async def test_a_reorg_of_the_very_blocks_that_were_followed_first_is_a_retraction_as_well() -> None:
    async with staged() as stage:
        ancestor = stage.world.canonical[-3].head
        held = stage.world.canonical[-3].balances
        told = len(stage.facts)
        await stage.hear(stage.world.reorg(2))
        assert not [fact for fact in stage.facts if isinstance(fact, StreamResync)]
        reverted = [fact for fact in stage.facts[told:] if isinstance(fact, BalanceReverted)]
        assert {fact.holding for fact in reverted} == stage.watch.holdings()
        assert all(fact.block == ancestor.ref and fact.balance == held.get(fact.holding, 0) for fact in reverted)


@in_virtual_time
async def test_a_reorg_says_which_blocks_it_left_and_wakes_who_fills_history() -> None:
    """Of some of them there may be records that were filled in, and no others."""
    async with staged() as stage:
        left = [block.head for block in stage.world.canonical[-2:]]
        told = len(stage.facts)
        await stage.hear(stage.world.reorg(2))
        reverted = [fact for fact in stage.facts[told:] if isinstance(fact, BalanceReverted)]
        assert reverted[0].left == tuple((head.number, head.hash) for head in left)
        assert not any(fact.left for fact in reverted[1:])
        assert stage.branches_left == 1


@in_virtual_time
async def test_what_the_first_block_stands_on_tells_nothing_of_how_long_blocks_take() -> None:
    async with staged() as stage:
        assert len(stage.follower.known.heads) > 1
        assert block_seconds(stage.follower.known) == 0


@in_virtual_time
async def test_a_node_that_lags_is_no_reorg() -> None:
    async with staged() as stage:
        heads = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(6)]
        await stage.hear(heads[-1])
        stage.node.shown_below = heads[2].number + 1
        stranger = Head(heads[2].number + 1, heads[0].parent, heads[2].hash, 0)
        await stage.hear(heads[2], stranger)
        assert not any(isinstance(fact, BalanceReverted | StreamResync) for fact in stage.facts)
        assert stage.status.block == heads[-1].number


@in_virtual_time
async def test_a_head_whose_block_comes_late_to_the_node_that_is_asked_is_followed_without_another() -> None:
    async with staged() as stage:
        stage.node.shown_below = len(stage.world.canonical)
        heads = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(2)]
        await stage.hear(heads[-1])
        stage.node.shown_below += 1
        await stage.settle(3)
        assert stage.status.block == heads[0].number
        stage.node.shown_below = None
        await stage.settle(6)
        assert stage.status.block == heads[1].number


@in_virtual_time
async def test_a_reorg_that_comes_late_to_the_node_that_is_asked_is_repaired_without_another_head() -> None:
    async with staged() as stage:
        orphan = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(orphan)
        old = stage.world.canonical[:]
        new = stage.world.canonical[:-1]
        stage.world.canonical = new
        head = stage.world.pay(USD, OUTSIDE, BOB, 2)
        stage.world.canonical = old
        await stage.hear(head)
        stage.world.canonical = new
        await stage.settle(6)
        assert stage.status.block == head.number
        assert [fact.change for fact in stage.updates()] == [1, 2]


@in_virtual_time
async def test_an_orphan_that_was_announced_last_is_left_for_the_next_head() -> None:
    async with staged() as stage:
        orphan = stage.world.mine()
        stage.world.canonical.pop()
        await stage.hear(orphan)
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 2))
        assert [fact.change for fact in stage.updates()] == [2]
        assert stage.state() == "live"


@in_virtual_time
async def test_a_new_solver_is_read_at_once_on_a_chain_that_mines_nothing() -> None:
    dave = Address("0x" + "dd" * 20)
    async with staged() as stage:
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers | {dave})))
        await stage.settle(0.1)
        assert {fact.holding for fact in stage.updates("first") if fact.holding.solver == dave} == {
            Holding(token, dave) for token in (NATIVE, *TOKENS)
        }
        assert {fact.block.hash for fact in stage.updates("first")} == {stage.world.tip.hash}


@in_virtual_time
async def test_what_changed_while_it_was_not_watched_is_found_when_it_is_watched_again() -> None:
    async with staged() as stage:
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers - {BOB})))
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 8))
        assert not stage.updates()
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle()
        moved = [(fact.holding, fact.change) for fact in stage.updates("sync") if fact.change]
        assert moved == [(Holding(USD, BOB), 8)]
        assert all(fact.apart for fact in stage.updates("sync"))
        assert stage.read[-1] == {Holding(token, BOB) for token in (NATIVE, *TOKENS)}


@in_virtual_time
async def test_what_is_watched_again_is_told_though_it_holds_what_it_held() -> None:
    """It may have moved and come back: the record of before must not be taken to hold until now."""
    async with staged() as stage:
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers - {BOB})))
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 8))
        await stage.hear(stage.world.pay(USD, BOB, OUTSIDE, 8))
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle()
        again = {fact.holding: fact for fact in stage.updates("sync")}
        assert again.keys() == {Holding(token, BOB) for token in (NATIVE, *TOKENS)}
        assert {fact.change for fact in again.values()} == {0}
        assert all(fact.apart for fact in again.values())
        assert {fact.block for fact in again.values()} == {stage.world.tip.ref}
        await stage.settle(301)
        assert len(stage.updates("sync")) == len(again)


@in_virtual_time
async def test_what_is_watched_again_is_told_anew_where_a_reorg_took_that_back() -> None:
    """Else the record of before would be taken to hold until now, as if it had been watched all the time."""
    async with staged() as stage:
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers - {BOB})))
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 8))
        await stage.hear(stage.world.pay(USD, BOB, OUTSIDE, 8))
        await stage.hear(stage.world.mine(busy=0))
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle()
        orphaned = stage.world.tip
        await stage.hear(stage.world.reorg(1))
        await stage.settle()
        again = {fact.holding for fact in stage.updates("sync") if fact.block.hash != orphaned.hash}
        assert again == {Holding(token, BOB) for token in (NATIVE, *TOKENS)}


@in_virtual_time
async def test_a_change_in_the_block_since_which_it_is_watched_again_may_be_older_in_part() -> None:
    async with staged() as stage:
        stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers - {BOB})))
        await stage.settle()
        stage.world.pay(USD, OUTSIDE, BOB, 8)  # announced to nobody
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle()
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        usd = [(fact.change, fact.cause) for fact in stage.updates() if fact.holding == Holding(USD, BOB)]
        assert usd == [(8, "sync"), (1, "transfer")]


@in_virtual_time
async def test_what_a_block_moved_without_telling_its_logs_is_recorded_there_and_said_once() -> None:
    alice = Holding(USD, ALICE)

    async def look(_: SimNode, heads: Sequence[Head], watch: Watch, *, natives: bool = True) -> tuple[BlockView, ...]:
        """As the node client shows blocks whose logs are left out, and whose bloom names somebody."""
        views = await whole(stage.node, heads, watch, natives=natives)
        read = await stage.node.read(dict.fromkeys(heads, (alice,)))
        return tuple(
            BlockView(view.head, (), view.readings.and_more(read[view.head.hash]), frozenset([alice])) for view in views
        )

    whole = SimNode.look
    async with staged() as stage:
        with capture_logs() as lines, pytest.MonkeyPatch.context() as patch:
            patch.setattr(SimNode, "look", look)
            for amount in (5, 7):
                await stage.hear(stage.world.pay(USD, OUTSIDE, ALICE, amount))
        told = [(fact.change, fact.cause, fact.transactions, fact.unexplained) for fact in stage.updates()]
        assert told == [(5, "sync", (), 5), (7, "sync", (), 7)]
        assert [line["balances"] for line in lines if line["event"] == "logs_left_out"] == [1]
        assert 'indexer_logs_left_out_total{chain="sim",found="balance"} 2.0' in stage.metrics.render()[0].decode()


@in_virtual_time
async def test_a_silent_mint_is_found_by_the_sync_and_recorded_there() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.put(Holding(USD, ALICE), 1_000))
        assert not stage.updates()
        await stage.settle(301)
        (fact,) = stage.updates()
        assert (fact.holding, fact.balance, fact.cause) == (Holding(USD, ALICE), 1_000, "sync")
        assert not fact.apart, "it was watched all along"
        assert fact.block == stage.world.tip.ref


@in_virtual_time
async def test_a_refresh_reads_at_the_newest_block_and_commits_what_differs() -> None:
    async with staged() as stage:
        head = stage.world.put(Holding(USD, ALICE), 55)
        answer = await stage.ref.ask(Refresh(Holding(USD, ALICE)), block=False)
        assert answer == (55, head.ref)
        assert [(fact.balance, fact.cause) for fact in stage.updates()] == [(55, "refresh")]


@in_virtual_time
async def test_a_refresh_that_nobody_waits_for_any_more_asks_nothing() -> None:
    async with staged() as stage:
        asked = stage.node.questions
        with pytest.raises(NodeUnreachable):
            await stage.ref.ask(Refresh(Holding(USD, ALICE), asyncio.get_running_loop().time() - 1), block=False)
        assert stage.node.questions == asked


@in_virtual_time
async def test_a_refresh_of_what_cannot_be_read_says_why() -> None:
    async with staged() as stage:
        stage.node.unreadable[USD] = "it reverts"
        with pytest.raises(Impossible, match="it reverts"):
            await stage.ref.ask(Refresh(Holding(USD, ALICE)), block=False)
        assert stage.ref.is_alive()


@in_virtual_time
async def test_a_token_that_cannot_be_read_is_never_zero_and_holds_up_nothing() -> None:
    stage = Stage()
    stage.node.unreadable[USD] = "it reverts"
    stage.world.mine()
    stage.start()
    await stage.settle()
    assert stage.status.ready
    assert USD not in {fact.holding.token for fact in stage.updates("first")}
    await stage.stop()


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
    assert [type(death) for death in stage.deaths] == [Fenced]
    assert not stage.ref.is_alive()


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
async def test_a_gap_whose_state_is_pruned_is_said_not_papered_over() -> None:
    async with staged() as stage:
        for _ in range(40):
            stage.world.pay(USD, OUTSIDE, BOB, 1)
        stage.node.pruned_below = stage.world.tip.number - 2
        await stage.hear(stage.world.tip)
        resyncs = [fact for fact in stage.facts if isinstance(fact, StreamResync)]
        assert len(resyncs) == 1
        assert "pruned" in resyncs[0].reason
        assert [(fact.change, fact.cause) for fact in stage.updates()] == [(40, "resync")]


@in_virtual_time
async def test_what_was_passed_over_is_told_with_everybody_who_was_followed_until_then() -> None:
    async with staged() as stage:
        trailing = stage.world.pay(USD, BOB, BOB, 1)
        await stage.hear(trailing)
        for _ in range(40):
            stage.world.pay(USD, OUTSIDE, BOB, 1)
        stage.node.pruned_below = stage.world.tip.number - 2
        await stage.hear(stage.world.tip)
        (resync,) = (fact for fact in stage.facts if isinstance(fact, StreamResync))
        assert resync.passed is not None
        assert resync.passed.after == trailing.ref
        assert set(resync.passed.followed) == WATCH.holdings()
        assert resync.passed.trailing == (Holding(USD, BOB),)
        assert stage.passed_over == [stage.commits[-1].first_seq]


@in_virtual_time
async def test_nobody_goes_on_from_a_token_that_could_not_be_read_when_it_moved_last() -> None:
    async with staged() as stage:
        held = Holding(USD, BOB)
        stage.node.unreadable[USD] = "paused"
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        del stage.node.unreadable[USD]
        for _ in range(60):
            stage.world.mine(busy=0)
        stage.node.pruned_below = stage.world.tip.number - 2
        await stage.hear(stage.world.tip)
        (resync,) = (fact for fact in stage.facts if isinstance(fact, StreamResync))
        assert resync.passed is not None
        assert held not in resync.passed.followed
        assert Holding(USD, CAROL) in resync.passed.followed


@in_virtual_time
async def test_nobody_goes_on_from_natives_that_were_not_read_right_before_a_gap() -> None:
    async with staged(native_interval=50) as stage:
        await stage.hear(*(stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(3)))
        for _ in range(60):
            stage.world.pay(USD, OUTSIDE, BOB, 1)
        stage.node.pruned_below = stage.world.tip.number - 2
        await stage.hear(stage.world.tip)
        (resync,) = (fact for fact in stage.facts if isinstance(fact, StreamResync))
        assert resync.passed is not None
        assert NATIVE not in {holding.token for holding in resync.passed.followed}


@in_virtual_time
async def test_what_moved_in_a_pruned_gap_and_came_back_is_not_said_to_have_held_there() -> None:
    async with staged() as stage:
        held = Holding(USD, BOB)
        before = stage.disk.kept.current[HoldingKey(CHAIN_ID, held)]
        for sender, recipient in ((OUTSIDE, BOB), (BOB, OUTSIDE)) * 20:
            stage.world.pay(USD, sender, recipient, 1)
        stage.node.pruned_below = stage.world.tip.number - 2
        await stage.hear(stage.world.tip)
        confirmed = stage.disk.kept.current[HoldingKey(CHAIN_ID, held)]
        assert (confirmed.balance, confirmed.change, confirmed.cause) == (before.balance, 0, "resync")
        assert confirmed.block == stage.world.tip.ref
        assert before.holds_until(confirmed) == before.block.number
        assert not [fact for fact in stage.updates() if fact.cause == "resync"]


@in_virtual_time
async def test_a_gap_that_was_orphaned_while_it_was_read_is_a_reorg_and_no_gap() -> None:
    async with staged() as stage:
        orphan = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(orphan)
        gap = tuple(stage.world.mine(busy=0) for _ in range(2))
        headers, look = stage.node.headers, stage.node.look

        async def before_the_reorg(*_args: Any) -> Any:
            stage.node.headers = headers  # type: ignore[method-assign] # only once
            return gap

        async def pruned_by_then(*_args: Any, **_more: Any) -> tuple[BlockView, ...]:
            stage.node.look = look  # type: ignore[method-assign] # only once
            stage.world.reorg(3)
            raise StateMissing("the state of an orphan is gone")

        script: Any = (before_the_reorg, pruned_by_then)
        stage.node.headers, stage.node.look = script  # type: ignore[method-assign] # a script
        await stage.hear(gap[-1])
        await stage.settle(6)
        assert stage.status.block == stage.world.tip.number
        assert not any(row.block.hash == orphan.hash for row in stage.disk.kept.records.values())


@in_virtual_time
async def test_a_gap_without_state_is_not_bridged_at_our_own_tip() -> None:
    """The node that was asked for the newest block is behind: what our tip changed would be told as nothing."""
    async with staged() as stage:
        changed = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(changed)
        gap = [stage.world.mine(busy=0) for _ in range(3)]
        look = stage.node.look

        async def pruned(*_args: Any, **_more: Any) -> tuple[BlockView, ...]:
            stage.node.look = look  # type: ignore[method-assign] # only once
            raise StateMissing("no state")

        async def newest() -> Head:
            stage.node.newest = well  # type: ignore[method-assign] # only once
            return changed

        well = stage.node.newest
        stage.node.look, stage.node.newest = pruned, newest  # type: ignore[method-assign] # a script
        await stage.hear(gap[-1])
        await stage.settle(6)
        assert stage.status.block == stage.world.tip.number
        (row,) = (row for row in stage.disk.kept.records.values() if row.block == changed.ref)
        assert (row.change, row.cause) == (1, "transfer")


@in_virtual_time
async def test_a_deep_reorg_takes_back_what_was_not_projected_yet() -> None:
    async with staged(window=4) as stage:
        kept = stage.world.tip
        heads = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(2)]
        await stage.hear(*heads)
        for head in heads:
            stage.unproject(head)
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(4)))
        await stage.hear(stage.world.reorg(6))
        (resync,) = (fact for fact in stage.facts if isinstance(fact, StreamResync))
        assert resync.above is not None
        assert resync.above <= kept.number


@in_virtual_time
async def test_after_a_deep_reorg_all_is_read_at_the_block_that_showed_it() -> None:
    """Behind the same address there may be a node that still syncs."""
    async with staged(window=4) as stage:
        await stage.hear(*(stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(6)))
        answers = [stage.world.reorg(6), stage.world.canonical[1].head]

        async def newest() -> Head:
            return answers.pop(0) if len(answers) > 1 else answers[0]

        stage.node.newest = newest  # type: ignore[method-assign] # first of one, then of the other
        await stage.hear(stage.world.tip)
        (resync,) = (fact for fact in stage.facts if isinstance(fact, StreamResync))
        assert resync.block == stage.world.tip.ref


@in_virtual_time
async def test_a_restart_goes_on_from_the_checkpoint_and_tells_nothing_twice() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        await stage.stop()
        told = len(stage.facts)
        missed = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(3)]
        stage.start()
        await stage.settle()
        assert [fact.block.hash for fact in stage.facts[told:]] == [head.hash for head in missed]  # type: ignore[union-attr] # updates
        assert stage.resumed[-1].seq == told


@in_virtual_time
async def test_natives_read_every_few_blocks_are_recorded_where_they_changed() -> None:
    async with staged(native_interval=8) as stage:
        first = stage.world.put(Holding(NATIVE, BOB), 5)
        stage.world.mine(busy=0)
        second = stage.world.put(Holding(NATIVE, BOB), 9)
        heads = [first, stage.world.canonical[-2].head, second, *(stage.world.mine(busy=0) for _ in range(8))]
        for head in heads:
            await stage.hear(head)
        natives = [fact for fact in stage.updates() if fact.holding == Holding(NATIVE, BOB)]
        assert [(fact.block.hash, fact.balance) for fact in natives] == [(first.hash, 5), (second.hash, 9)]
        assert {fact.cause for fact in natives} == {"native"}


@in_virtual_time
async def test_a_block_that_vanishes_while_it_is_read_is_asked_for_anew() -> None:
    async with staged() as stage:
        look, failed = stage.node.look, list[bool]()

        async def once_unknown(*args: Any, **kwargs: Any) -> tuple[BlockView, ...]:
            if not failed:
                failed.append(True)
                raise BlockUnknown("the endpoint lags")
            return await look(*args, **kwargs)

        stage.node.look = once_unknown  # type: ignore[method-assign] # a load balancer's second node
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 3))
        assert [fact.change for fact in stage.updates()] == [3]
        assert stage.state() == "live"


def settled(stage: Stage) -> list[tuple[str, int]]:
    return [(fact.level, fact.block.number) for fact in stage.facts if isinstance(fact, ChainFinalized)]


@in_virtual_time
async def test_the_newest_block_with_records_is_told_once_per_level_when_it_gets_there() -> None:
    async with staged() as stage:
        first = stage.world.tip.number
        paid = [stage.world.pay(USD, OUTSIDE, BOB, 1) for _ in range(3)]
        await stage.hear(paid[-1])
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(4)))
        await stage.settle(5)
        assert settled(stage) == [("safe", first + 1)]
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(12)))
        await stage.settle(5)
        assert settled(stage)[1:] == [("safe", paid[-1].number), ("finalized", paid[-1].number)]
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(20)))
        await stage.settle(30)
        assert len(settled(stage)) == 3


@in_virtual_time
async def test_the_first_commit_tells_already_what_was_settled_before_us() -> None:
    stage = Stage()
    for _ in range(20):
        stage.world.mine()
    stage.start()
    await stage.settle()
    checkpoint = stage.commits[0].checkpoint
    assert checkpoint is not None
    assert checkpoint.settled == Settled(14, 8)
    await stage.stop()


@in_virtual_time
async def test_tags_are_asked_once_per_block_at_most_and_never_for_a_chain_that_stands_still() -> None:
    async with staged() as stage:
        await stage.settle(60)
        asked = stage.node.tags_asked
        await stage.settle(600)
        assert stage.node.tags_asked == asked
        for _ in range(20):
            await stage.hear(stage.world.mine(busy=0))
            await stage.settle(11)
        assert stage.node.tags_asked == asked + 20


@in_virtual_time
async def test_without_tags_depth_counts() -> None:
    stage = Stage(window=256)
    stage.node.tag_lags = None
    stage.world.mine()
    stage.start()
    await stage.settle()
    paid = stage.world.pay(USD, OUTSIDE, BOB, 1)
    await stage.hear(paid)
    for count, told in ((SAFE_DEPTH - 1, []), (1, ["safe"]), (FINALIZED_DEPTH - SAFE_DEPTH, ["safe", "finalized"])):
        for _ in range(count):
            await stage.hear(stage.world.mine(busy=0))
        await stage.settle(5)
        assert [level for level, number in settled(stage) if number == paid.number] == told
    await stage.stop()


@in_virtual_time
async def test_heads_never_wait_for_a_node_that_is_slow_to_tell_its_tags() -> None:
    async with staged() as stage:

        async def never(beside: Head | None = None) -> Tags:  # noqa: ARG001 - as the node has it
            await asyncio.sleep(3600)
            raise AssertionError

        stage.node.tags = never  # type: ignore[method-assign] # hangs
        await stage.settle(10)
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        assert [fact.change for fact in stage.updates()] == [1]


@in_virtual_time
async def test_a_tag_of_another_branch_or_beyond_our_tip_is_not_believed() -> None:
    async with staged() as stage:
        paid = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(paid)
        beyond = Head(paid.number + 5, STRANGE, paid.hash, 0)
        stranger = Head(paid.number, STRANGE, paid.parent, 0)
        answers = [Tags(beyond, stranger), Tags(paid, paid)]

        async def tags(beside: Head | None = None) -> Tags:  # noqa: ARG001 - as the node has it
            return answers[0]

        stage.node.tags = tags  # type: ignore[method-assign] # an endpoint on a fork
        await stage.settle(5)
        assert settled(stage) == []
        answers.pop(0)
        await stage.hear(stage.world.mine(busy=0))
        await stage.settle(5)
        assert settled(stage) == [("safe", paid.number), ("finalized", paid.number)]


@in_virtual_time
async def test_what_was_told_as_settled_is_not_told_again_after_a_restart() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 1))
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(20)))
        await stage.settle(5)
        before = settled(stage)
        assert before
        await stage.stop()
        stage.start()
        await stage.hear(*(stage.world.mine(busy=0) for _ in range(3)))
        await stage.settle(10)
        assert settled(stage) == before


@in_virtual_time
async def test_a_reorg_below_what_was_settled_makes_the_new_branch_get_there_anew() -> None:
    async with staged() as stage:
        orphan = stage.world.pay(USD, OUTSIDE, BOB, 1)
        await stage.hear(orphan, *(stage.world.mine(busy=0) for _ in range(13)))
        await stage.settle(5)
        assert ("finalized", orphan.number) in settled(stage)
        told = len(settled(stage))
        del stage.world.canonical[orphan.number :]
        paid = stage.world.pay(USD, OUTSIDE, BOB, 2)
        for _ in range(14):
            await stage.hear(stage.world.mine(busy=0))
        assert paid.number == orphan.number
        await stage.settle(5)
        assert settled(stage)[told:][-1] == ("finalized", paid.number)
        newest = [fact for fact in stage.facts if isinstance(fact, ChainFinalized)][-1]
        assert newest.block == paid.ref
