"""A watch that changes while the chain lives: what that costs, and what several changes at once have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn

import pytest

from actors.chains.reading.introducing import BEGIN_SECONDS, INTRODUCE_SECONDS
from actors.messages import Differed, WatchChanged
from indexer.domain.balances import BalanceUpdated, Watch
from indexer.domain.chain import NATIVE, Address, BlockHash, Head, Holding, KnownBlock, TokenInfo
from indexer.domain.following.feed import HeadHeard
from indexer.domain.following.views import Readings
from indexer.domain.resuming.checkpoints import Mark
from indexer.errors import BadAnswer, NodeUnreachable
from tests.actors.chains.stage import Stage, staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import OUTSIDE, TOKENS, WALLETS, WATCH

USD = TOKENS[0]
ALICE, BOB, CAROL = WALLETS
DAVE = Address("0x" + "dd" * 20)


@in_virtual_time
async def test_a_new_solver_costs_no_look_at_all_that_is_watched() -> None:
    async with staged() as stage:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Watch, "holdings", _never)
            stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers | {DAVE})))
            await stage.settle(0.1)
        assert stage.read[-1] == {Holding(token, DAVE) for token in (NATIVE, *TOKENS)}


@in_virtual_time
async def test_solvers_that_come_while_others_are_read_share_one_read_and_one_commit() -> None:
    many = [_wallet(number) for number in range(50)]
    async with staged() as stage:
        with _counting(stage) as asked:
            for number in range(len(many)):
                stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers | set(many[: number + 1]))))
                if not number:
                    await asked.reading.wait()
            asked.go_on.set()
            before = len(stage.commits) + 1
            await stage.settle()
            rest = {Holding(token, wallet) for token in (NATIVE, *TOKENS) for wallet in many[1:]}
            assert asked.reads == [{Holding(token, many[0]) for token in (NATIVE, *TOKENS)}, rest]
            assert asked.kept == 2
            told = [
                {fact.holding for fact in commit.facts if isinstance(fact, BalanceUpdated)} for commit in stage.commits
            ]
            assert told[before:] == [rest]


@in_virtual_time
async def test_a_head_behind_a_changed_watch_is_handled_with_what_is_watched_by_then() -> None:
    async with staged(watch=Watch(WATCH.tokens, frozenset({ALICE}))) as stage:
        with _counting(stage) as asked:
            stage.ref.tell(WatchChanged(Watch(WATCH.tokens, frozenset({ALICE, DAVE}))))
            await asked.reading.wait()
            stage.ref.tell(WatchChanged(Watch(WATCH.tokens, frozenset({ALICE, DAVE, BOB}))))
            stage.world.pay(USD, OUTSIDE, BOB, 5)
            stage.say_tip()
            stage.ref.tell(WatchChanged(Watch(WATCH.tokens, frozenset({ALICE, DAVE, BOB, CAROL}))))
            asked.go_on.set()
            await stage.settle()
            assert [(fact.balance, fact.cause) for fact in _usd_of(stage, BOB)] == [(5, "first")]
            assert [(fact.balance, fact.cause) for fact in _usd_of(stage, CAROL)] == [(0, "first")]
            await stage.hear(stage.world.pay(USD, OUTSIDE, CAROL, 7))
            assert [(fact.balance, fact.cause) for fact in _usd_of(stage, CAROL)][1:] == [(7, "transfer")]


@in_virtual_time
async def test_who_left_and_came_back_while_others_were_read_was_not_watched_in_between() -> None:
    async with staged() as stage:
        await stage.hear(stage.world.mine(busy=0))
        with _counting(stage) as asked:
            stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers | {DAVE})))
            await asked.reading.wait()
            for solvers in (WATCH.solvers - {BOB}, WATCH.solvers):
                stage.ref.tell(WatchChanged(Watch(WATCH.tokens, solvers | {DAVE})))
            asked.go_on.set()
            await stage.settle()
            again = stage.updates("sync")
            assert {fact.holding for fact in again} == {Holding(token, BOB) for token in (NATIVE, *TOKENS)}
            assert all(fact.apart and not fact.change for fact in again)


@in_virtual_time
async def test_heads_have_their_turn_between_parts_of_what_is_new() -> None:
    """And the chain stays live meanwhile."""
    many = frozenset(map(_wallet, range(6)))
    new = {Holding(token, wallet) for token in (NATIVE, *TOKENS) for wallet in many}
    async with staged() as stage:
        before, shown = len(stage.commits), len(stage.statuses)
        with _in_parts_of(4), _counting(stage) as asked:
            stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers | many)))
            await asked.reading.wait()
            stage.world.pay(USD, OUTSIDE, BOB, 5)
            stage.say_tip()
            asked.go_on.set()
            await stage.settle()
        commits = stage.commits[before:]
        causes = [{fact.cause for fact in commit.facts if isinstance(fact, BalanceUpdated)} for commit in commits]
        assert {"transfer"} <= causes[1]
        assert {"first"} in causes[2:]
        assert max(map(len, asked.reads)) == 4
        assert {holding.token for holding in asked.reads[0]} == {NATIVE}
        assert {fact.holding for fact in stage.updates("first")} >= new
        assert len([fact for fact in stage.updates("first") if fact.holding in new]) == len(new)
        assert {(status.state, status.ready) for status in stage.statuses[shown:]} == {("live", True)}


@in_virtual_time
async def test_a_chain_is_ready_once_the_last_part_is_read() -> None:
    with _in_parts_of(2):
        async with staged() as stage:
            firsts = stage.updates("first")
            assert {fact.holding for fact in firsts} == WATCH.holdings()
            assert len(firsts) == len(WATCH.holdings())
            assert len(stage.commits) > 1
            ready = next(status for status in stage.statuses if status.ready)
            assert ready.seq == stage.commits[-1].last_seq


@in_virtual_time
async def test_a_part_that_fails_is_read_again_and_the_rest_after_it() -> None:
    async with staged() as stage:
        with _in_parts_of(2):
            stage.node.pruned_below = stage.world.tip.number + 1
            stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers | {DAVE, OUTSIDE})))
            await stage.settle()
            assert stage.state() != "live"
            stage.node.pruned_below = 0
            await stage.settle(6)
        assert stage.state() == "live"
        told = [fact.holding for fact in stage.updates("first") if fact.holding.solver in (DAVE, OUTSIDE)]
        assert sorted(told) == sorted(
            Holding(token, wallet) for token in (NATIVE, *TOKENS) for wallet in (DAVE, OUTSIDE)
        )


@contextmanager
def _in_parts_of(balances: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actors.chains.reading.reading.PART", balances)
        yield


class _Asked:
    """What was read because it is due, and how often the watch was kept; the first read waits."""

    def __init__(self) -> None:
        self.reads: list[set[Holding]] = []
        self.kept = 0
        self.reading, self.go_on = asyncio.Event(), asyncio.Event()


@contextmanager
def _counting(stage: Stage) -> Iterator[_Asked]:
    asked = _Asked()
    read, follow = stage.node.read, stage.store.checkpoints.follow

    async def held(wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]:
        asked.reads.append({holding for holdings in wanted.values() for holding in holdings})
        asked.reading.set()
        await asked.go_on.wait()
        return await read(wanted)

    async def counted(stream: str, heads: Sequence[Head], mark: Mark) -> None:
        asked.kept += mark.watch is not None
        await follow(stream, heads, mark)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.node, "read", held)
        patch.setattr(stage.store.checkpoints, "follow", counted)
        yield asked


def _usd_of(stage: Stage, wallet: Address) -> list[BalanceUpdated]:
    return [fact for fact in stage.updates("first", "transfer", "sync") if fact.holding == Holding(USD, wallet)]


def _wallet(number: int) -> Address:
    return Address(f"0x{0xABC000 + number:040x}")


def _never(_watch: Watch) -> NoReturn:
    raise AssertionError("it would grow with all that is watched")


@in_virtual_time
async def test_a_token_that_comes_while_no_node_answers_is_told_with_its_decimals() -> None:
    """As the file brings it; one that is added over the API was asked before."""
    without = Watch(WATCH.tokens - {USD}, WATCH.solvers)
    async with staged(watch=without) as stage:
        describe, outage = stage.infos.describe, NodeUnreachable("nobody answers")

        async def unanswered(chain: int, tokens: Collection[Address]) -> Mapping[str, TokenInfo]:
            if stage.node.error is not None:
                raise stage.node.error
            return await describe(chain, tokens)

        stage.infos.describe = unanswered  # type: ignore[assignment,method-assign] # it is the node that is asked
        stage.node.error = outage
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle()
        stage.node.error = None
        await stage.hear(stage.world.pay(USD, OUTSIDE, BOB, 5))
        await stage.settle(10)
        told = [fact for fact in stage.updates("first", "transfer") if fact.holding.token == USD]
        assert {fact.holding.solver for fact in told} == WATCH.solvers
        assert {fact.info for fact in told} == {TokenInfo(6, "SIM", "Simulated")}


def undescribed(stage: Stage, until: float = float("inf"), *, hangs: bool = False) -> list[Collection[Address]]:
    """Which tokens a node was asked of; none of them is told until then, nor refused at once where it `hangs`."""
    asked, known = list[Collection[Address]](), stage.infos.describe

    async def unanswered(chain: int, tokens: Collection[Address]) -> Mapping[str, TokenInfo]:
        if tokens and asyncio.get_running_loop().time() < until:
            asked.append(tokens)
            if hangs:
                await asyncio.sleep(15)
            raise BadAnswer("an answer in words that nobody has met yet")
        return await known(chain, tokens)

    stage.infos.describe = unanswered  # type: ignore[assignment,method-assign] # it is the node that is asked
    return asked


@in_virtual_time
async def test_nor_does_it_take_the_name_of_the_native_coin_with_it() -> None:
    stage = Stage()
    stage.world.mine()
    asked = undescribed(stage)
    stage.start()
    try:
        await stage.settle(BEGIN_SECONDS + 1)
        coins = {fact.info for fact in stage.updates("first") if fact.holding.token == NATIVE}
        assert coins == {stage.infos.coin}
        assert asked
    finally:
        await stage.stop()


@in_virtual_time
@pytest.mark.parametrize("is_killed", [False, True], ids=["by the next change of the watch", "in the next life"])
async def test_what_was_told_without_a_word_is_told_with_it_once_there_is_one(is_killed: bool) -> None:
    stage = Stage(watch=Watch(WATCH.tokens - {USD}, WATCH.solvers))
    stage.world.mine()
    undescribed(stage, until=asyncio.get_running_loop().time() + BEGIN_SECONDS + 1)
    stage.start()
    try:
        await stage.settle(BEGIN_SECONDS + 1)
        theirs = {fact.holding for fact in stage.updates("first") if fact.info == TokenInfo()}
        assert {holding.solver for holding in theirs} == WATCH.solvers
        if is_killed:
            await stage.stop()
            stage.start()
        else:
            stage.ref.tell(WatchChanged(WATCH))
        await stage.hear(stage.world.mine(busy=0))
        again = {fact.holding for fact in stage.updates() if fact.info != TokenInfo() and fact.change == 0}
        assert again == theirs
    finally:
        await stage.stop()


@in_virtual_time
@pytest.mark.parametrize("hangs", [False, True], ids=["that no node describes", "whose calls hang"])
async def test_a_token_holds_up_no_head_for_longer_than_a_second(hangs: bool) -> None:
    """A head that comes with it waits that long, and those after it not at all."""
    without = Watch(WATCH.tokens - {USD}, WATCH.solvers)
    async with staged(watch=without) as stage:
        undescribed(stage, hangs=hangs)
        stage.ref.tell(WatchChanged(WATCH))
        stage.say(HeadHeard(first := stage.world.pay(TOKENS[1], OUTSIDE, BOB, 1), "ws"))
        await stage.settle(INTRODUCE_SECONDS + 0.2)
        assert [fact.block.hash for fact in stage.updates("transfer")] == [first.hash]
        for _ in range(3):
            stage.say(HeadHeard(head := stage.world.pay(TOKENS[1], OUTSIDE, BOB, 1), "ws"))
            await stage.settle(0.05)
            assert stage.updates("transfer")[-1].block.hash == head.hash
        assert stage.state() == "live"


@in_virtual_time
async def test_what_hung_is_told_with_its_words_beside_the_heads_once_there_are_any() -> None:
    without = Watch(WATCH.tokens - {USD}, WATCH.solvers)
    async with staged(watch=without) as stage:
        undescribed(stage, until=asyncio.get_running_loop().time() + 40, hangs=True)
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle(30)
        silent = {fact.holding: fact.info for fact in stage.updates("first") if fact.holding.token == USD}
        assert silent == dict.fromkeys((Holding(USD, wallet) for wallet in WATCH.solvers), TokenInfo())
        assert not stage.updates("sync")
        await stage.settle(20)
        await stage.hear(stage.world.mine(busy=0))
        again = {fact.holding: fact.info for fact in stage.updates("sync") if fact.change == 0}
        assert again == dict.fromkeys(silent, TokenInfo(6, "SIM", "Simulated"))


@in_virtual_time
async def test_a_token_that_no_node_describes_holds_up_no_head() -> None:
    without = Watch(WATCH.tokens - {USD}, WATCH.solvers)
    async with staged(watch=without) as stage:
        asked = undescribed(stage)
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle(INTRODUCE_SECONDS + 1)
        heads = [stage.world.pay(TOKENS[1], OUTSIDE, BOB, 1) for _ in range(3)]
        await stage.hear(*heads)
        assert [fact.block.hash for fact in stage.updates("transfer")] == [head.hash for head in heads]
        assert stage.state() == "live"
        assert len(asked) > 2


@in_virtual_time
@pytest.mark.parametrize("is_asked_beside", [False, True], ids=["a head", "a doubt"])
async def test_what_a_new_token_says_of_itself_is_known_before_a_balance_of_it_is_told(is_asked_beside: bool) -> None:
    """Nobody answers when it is added, and somebody does before heads have waited long enough."""
    token = TOKENS[1]
    async with staged(watch=Watch(frozenset({USD}), WATCH.solvers)) as stage:
        undescribed(stage, until=asyncio.get_running_loop().time() + INTRODUCE_SECONDS / 2)
        stage.ref.tell(WatchChanged(WATCH))
        await stage.settle(0.01)
        if is_asked_beside:
            stage.ref.tell(Differed(frozenset({Holding(token, BOB)})))
        else:
            stage.say(HeadHeard(stage.world.pay(token, OUTSIDE, BOB, 5), "ws"))
        await stage.settle(3.0)
        told = [fact for fact in stage.facts if isinstance(fact, BalanceUpdated) and fact.holding.token == token]
        assert {fact.holding.solver for fact in told} == WATCH.solvers
        assert {fact.info for fact in told} == {TokenInfo(6, "SIM", "Simulated")}
