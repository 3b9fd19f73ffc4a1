"""What a new life knows of the ones before it: all that was told, and no more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.chains.books import ledger as module
from actors.chains.books import loading
from indexer.domain.balances import BalanceUpdated, Watch
from indexer.domain.chain import Holding, TokenInfo
from indexer.domain.following.headchain import HeadChain
from indexer.domain.resuming.reorgs import reverts
from indexer.domain.telling.facts import StreamResync, StreamStale
from indexer.domain.tokens import NOTHING_TOLD
from tests.actors.fakes import (
    STREAM,
    USDC,
    Desk,
    FakeCheckpoints,
    head_at,
    holding,
    roll_back,
    updated,
    wallet,
)

WORDS = TokenInfo(6, "USDC", "USD Coin")


async def test_an_empty_store_is_a_first_start(desk: Desk) -> None:
    ledger = desk.open()
    known = (await ledger.load()).known
    assert (known.tip, known.depth, ledger.seq, ledger.balances) == (None, 8, 0, {})


async def test_a_new_life_tells_history_of_what_another_wrote_whom_the_store_never_answered(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.patience.FIRST_RETRY_SECONDS", 3600.0)
    told: list[int] = []
    first = replace(updated(5, 7), cause="first")
    desk.log.lose_answers = 1
    writing = asyncio.create_task(desk.open(returned=told.append).commit((first,), head_at(5)))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait((writing,))
    assert (len(desk.log.commits), told) == (1, [])
    await desk.open(returned=told.append).load()
    assert told == [1]


async def test_a_new_life_goes_on_where_the_log_ends(desk: Desk) -> None:
    first = desk.open()
    await first.load()
    await first.commit((updated(5, 7),), head_at(5))
    await first.commit((updated(6, 9, 7),), head_at(6))
    desk.project()
    second = desk.open()
    known = (await second.load()).known
    assert known.tip == head_at(6)
    assert (second.seq, second.balances) == (2, {holding(): 9})
    assert second.above(0) == first.above(0)


async def test_a_new_life_knows_what_was_committed_and_not_yet_projected(desk: Desk) -> None:
    first = desk.open()
    await first.commit((updated(5, 7),), head_at(5))
    desk.project()
    await first.commit((updated(6, 9, 7), updated(6, 1, None, who=1)), head_at(6))
    second = desk.open()
    await second.load()
    assert second.balances == {holding(0): 9, holding(1): 1}


async def test_natives_that_were_read_on_an_orphaned_branch_are_not_taken_for_read_by_the_next_life(
    desk: Desk,
) -> None:
    """They are read every few blocks only, and what changed in between is searched for from the last reading on."""
    first = desk.open()
    await first.commit((updated(5, 7),), head_at(5))
    first.natives_read(2)
    first.natives_read(5)
    await first.save(HeadChain(8, tuple(head_at(number) for number in range(1, 6))))
    async with first.writer.together():
        await first.roll_back(HeadChain(8, (head_at(3),)), roll_back(first, 3, {holding(): 0}))
        await first.commit((replace(updated(4, 8, fork="b"), holding=Holding(USDC, wallet(0))),), head_at(4, "b", "a"))
    again = desk.open()
    await again.load()
    assert again.natives_at == 2


async def test_a_reorg_that_takes_nothing_back_is_known_to_the_next_life_where_natives_were_read(desk: Desk) -> None:
    """No commit tells of it, and those that follow sit on a branch on which nobody has read them."""
    first = desk.open()
    await first.commit((updated(2, 7),), head_at(2))
    first.natives_read(2)
    first.natives_read(5)
    await first.save(HeadChain(8, tuple(head_at(number) for number in range(1, 6))))
    await first.roll_back(HeadChain(8, tuple(head_at(number) for number in range(1, 5))), ())
    await first.commit((replace(updated(6, 8, fork="b"), holding=Holding(USDC, wallet(0))),), head_at(6, "b"))
    again = desk.open()
    known = (await again.load()).known
    assert (again.natives_at, [head.number for head in known.heads]) == (2, [1, 2, 3, 4, 6])


@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize(
    "below", [NOTHING_TOLD, None], ids=["told without a word", "older than all that is remembered"]
)
async def test_a_token_whose_late_words_a_reorg_took_back_is_known_to_the_next_life(
    desk: Desk, below: TokenInfo | None, *, projected: bool
) -> None:
    """The record below, which holds again, was told without them."""
    first, coin = desk.open(), Holding(USDC, wallet(0))
    await first.load()
    if below is not None:
        await first.commit((replace(updated(5, 7), holding=coin, info=below),), head_at(5))
    await first.commit((replace(updated(7, 7, 7), holding=coin, cause="sync", info=WORDS),), head_at(7))
    await first.commit(roll_back(first, 6, {coin: 7}), head_at(6))
    if projected:
        desk.project()
    assert dict((await desk.open().load()).words) == {coin: below}


async def test_nothing_is_missing_where_a_reorg_left_what_told_the_words_of_a_token(desk: Desk) -> None:
    first, coin = desk.open(), Holding(USDC, wallet(0))
    await first.load()
    for number, info in ((5, NOTHING_TOLD), (6, WORDS), (7, WORDS)):
        await first.commit((replace(updated(number, number, number - 1), holding=coin, info=info),), head_at(number))
    await first.commit(roll_back(first, 6, {coin: 6}), head_at(6))
    assert dict((await desk.open().load()).words) == {coin: WORDS}


async def test_a_new_life_goes_on_at_the_block_that_was_reached_not_at_the_last_change(desk: Desk) -> None:
    first = desk.open()
    for number in (3, 5):
        await first.commit((updated(number, number),), head_at(number))
    heads = tuple(head_at(number) for number in range(2, 9))
    await first.save(HeadChain(8, heads))
    assert (await desk.open().load()).known.heads == heads


async def test_commits_above_the_stored_heads_go_on_top(desk: Desk) -> None:
    desk.checkpoints = FakeCheckpoints({STREAM: (head_at(1), head_at(2))})
    first = desk.open()
    await first.commit((updated(4, 7),), head_at(4))
    assert (await desk.open().load()).known.heads == (head_at(1), head_at(2), head_at(4))


async def test_no_block_is_known_below_what_a_reorg_may_take_back() -> None:
    """Else one to an older block would leave the records above it: they are forgotten with the window."""
    desk = Desk(window=4)
    desk.checkpoints = FakeCheckpoints({STREAM: (head_at(1), head_at(2), head_at(3))})
    first = desk.open()
    for number in (5, 7):
        await first.commit((updated(number, number),), head_at(number))
    assert (await desk.open().load()).known.heads == (head_at(5), head_at(7))


async def test_a_reorg_after_the_heads_were_stored_cuts_them(desk: Desk) -> None:
    desk.checkpoints = FakeCheckpoints({STREAM: tuple(head_at(number) for number in range(1, 6))})
    first = desk.open()
    await first.commit((updated(5, 7),), head_at(5))
    await first.commit(roll_back(first, 3, {holding(): 0}), head_at(3))
    second = desk.open()
    assert (await second.load()).known.tip == head_at(3)
    assert second.above(0) == first.above(0)
    await first.commit((updated(4, 8, 0, fork="b"),), head_at(4, "b", "a"))
    third = desk.open()
    assert (await third.load()).known.heads == (*(head_at(number) for number in (1, 2, 3)), head_at(4, "b", "a"))
    assert third.balances == {holding(): 8}


async def test_blocks_that_were_stored_after_a_commit_are_not_cut_by_it(desk: Desk) -> None:
    first = desk.open()
    await first.commit((updated(5, 7),), head_at(5))
    await first.commit(roll_back(first, 3, {holding(): 0}), head_at(3))
    heads = (*(head_at(number) for number in (2, 3)), head_at(4, "b", "a"), head_at(5, "b"), head_at(6, "b"))
    await first.save(HeadChain(8, heads))
    assert (await desk.open().load()).known.heads == heads


async def test_a_deep_reorg_leaves_none_of_the_stored_blocks_that_it_took_back(desk: Desk) -> None:
    desk.checkpoints = FakeCheckpoints({STREAM: tuple(head_at(number) for number in range(1, 6))})
    await desk.open().commit((StreamResync(1, "deep", head_at(9, "b").ref, 2),), head_at(9, "b"))
    assert (await desk.open().load()).known.heads == (head_at(2), head_at(9, "b"))


async def test_a_split_commit_that_was_cut_short_by_a_crash_is_remembered_and_not_followed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMIT_FACTS", 1)
    first = desk.open()
    await first.commit((updated(5, 7),), head_at(5))
    desk.log.troubles = []
    await first.commit((updated(6, 8, 7), updated(6, 9, None, who=1)), head_at(6))
    desk.log.commits.pop()
    second = desk.open()
    assert (await second.load()).known.tip == head_at(5)
    assert (second.seq, second.balances) == (2, {holding(): 8})
    assert [update.block.number for update in second.above(5)] == [6]


async def test_more_commits_than_a_page_are_all_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "PAGE", 3)
    first = desk.open()
    for number in range(1, 9):
        await first.commit((updated(number, number, number - 1),), head_at(number))
    second = desk.open()
    await second.load()
    assert second.above(0) == first.above(0)
    assert second.balances == first.balances


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["grow", "grow", "reorganize", "replace", "stale", "project", "save"]),
        st.integers(1, 4),
        st.integers(0, 3),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(STEPS)
async def test_a_new_life_holds_exactly_what_the_old_one_held(steps: list[tuple[str, int, int]]) -> None:
    desk = Desk(window=50)
    first = desk.open()
    known = HeadChain(50, (head_at(0),))
    forks = 0
    for kind, size, value in steps:
        tip = known.heads[-1]
        if kind == "grow":
            fork = "abcdef"[forks % 6]
            head = head_at(tip.number + 1, fork, tip.hash[2])
            if first.balances.get(holding(size)) != value:
                fact = updated(head.number, value, first.balances.get(holding(size)), size, fork)
                await first.commit((fact,), head)
            known = known.extend(head)
        elif kind in ("reorganize", "replace"):
            forks += 1
            ancestor = known.heads[max(0, len(known.heads) - 1 - size)]
            orphaned = first.above(ancestor.number)
            values = {update.holding: update.previous or 0 for update in reversed(orphaned)}
            known = known.cut(ancestor.hash)
            async with first.writer.together():
                await first.roll_back(known, reverts(orphaned, first.balances, values, ancestor.ref))
                if kind == "replace":
                    head = head_at(ancestor.number + 1, "abcdef"[forks % 6], ancestor.hash[2])
                    balance = first.balances.get(holding(value))
                    fact = updated(head.number, 9 + forks, balance, value, "abcdef"[forks % 6])
                    await first.commit((fact,), head)
                    known = known.extend(head)
        elif kind == "stale":
            await first.commit((StreamStale(1, "no node", tip.number),), tip)
        elif kind == "project":
            desk.project()
        else:
            await first.save(known)
    second = desk.open()
    loaded = (await second.load()).known
    assert (second.seq, second.balances, second.above(-1)) == (first.seq, first.balances, first.above(-1))
    assert loaded.tip is None or all(below.number < above.number for below, above in pairwise(loaded.heads))


async def test_who_was_not_watched_for_a_moment_is_known_to_the_next_life_though_nothing_was_told_since(
    desk: Desk,
) -> None:
    both, one = (Watch(solvers=frozenset(map(wallet, wallets))) for wallets in ((0, 1), (0,)))
    known = HeadChain(8, (head_at(5),))
    ledger = desk.open()
    await ledger.load(both)
    await ledger.commit((updated(5, 7), updated(5, 8, who=1)), head_at(5))
    await ledger.keep(known)
    for before, after in ((both, one), (one, both)):
        ledger.rewatch(before, after)
        await ledger.keep(known)
    desk.project()
    again = desk.open()
    await again.load(both)
    assert again.returned == ledger.returned == {holding(1)}
    await again.commit((updated(6, 9, 8, who=1),), head_at(6))
    third = desk.open()
    await third.load(both)
    assert not third.returned


async def test_what_was_read_on_a_branch_that_was_left_in_silence_is_not_taken_for_known(desk: Desk) -> None:
    """A reorg told what a native balance was at block 7; the next one, to block 4, took back no record."""
    ledger = desk.open()
    await ledger.load()
    await ledger.commit((updated(3, 7),), head_at(3))
    ledger.natives_read(3)
    await ledger.commit((updated(8, 9, 7),), head_at(8))
    await ledger.roll_back(HeadChain(8, (head_at(7),)), roll_back(ledger, 7, {holding(): 7}))
    await ledger.roll_back(HeadChain(8, (head_at(3), head_at(4))), ())
    desk.project()
    again = desk.open()
    begun = await again.load()
    assert not begun.native_since, "what it was when all were read, at block 3, is the last that is known"
    await again.commit((updated(6, 8, 7, fork="b"),), head_at(6, "b"))
    third = desk.open()
    begun = await third.load()
    assert begun.native_since == {holding(): 6}


@pytest.mark.parametrize("told_since", [(), (updated(6, 9, 8, who=1, fork="b"),)])
async def test_who_is_in_doubt_again_by_a_reorg_is_so_in_the_next_life(
    desk: Desk, told_since: tuple[BalanceUpdated, ...]
) -> None:
    """Watched again and recorded; killed right after that record was taken back, and after the next one."""
    both, one = (Watch(solvers=frozenset(map(wallet, wallets))) for wallets in ((0, 1), (0,)))
    ledger = desk.open()
    await ledger.load(both)
    await ledger.commit((updated(5, 7), updated(5, 8, who=1)), head_at(5))
    ledger.rewatch(both, one)
    ledger.rewatch(one, both)
    await ledger.commit((replace(updated(6, 8, 8, who=1), cause="sync", apart=True),), head_at(6))
    await ledger.keep(HeadChain(8, (head_at(5), head_at(6))))
    async with ledger.writer.together():
        await ledger.roll_back(HeadChain(8, (head_at(5),)), roll_back(ledger, 5, {holding(1): 8}))
        assert ledger.returned == {holding(1)}
        if told_since:
            await ledger.commit(told_since, head_at(6, "b", "a"))
    desk.project()
    again = desk.open()
    await again.load(both)
    assert again.returned == ledger.returned == (frozenset() if told_since else {holding(1)})
