"""What the oracle asks of history that a reorg took back, and that was filled again."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from indexer.domain.chain import Address, BlockHash, BlockRef, Holding, TokenInfo
from indexer.domain.history.jobs import Anchor, Job
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import Fact, HistoryFilled, HistoryRow, StreamResync
from tests.actors.fakes import TIME
from tests.sim.passed import Stretch, passed_over
from tests.sim.past import _is_complete, _taken_back
from tests.sim.store.disk import Kept
from tests.sim.world import CHAIN_ID, NEWCOMER, OUTSIDE, TOKENS, WALLETS, World


def asked_for(*, is_away: bool, told: int | None = 30) -> int:
    """Walked back from block 30 by a job that a reorg took back; the one in its place found a record of block 5."""
    holding = Holding(TOKENS[0], WALLETS[2])
    anchors = {holding: Anchor(30, 7, False)}
    job = Job("old", CHAIN_ID, 0, None, (holding,), state="done", anchors=anchors, top=30, told=told)
    again = replace(job, id="new", anchors={holding: Anchor(5, 0, True)}, top=5, created=1)
    void = HistoryFilled(CHAIN_ID, holding, 0, 29, (), TokenInfo(), "old", void=True)
    commits = [] if told is None else [Commit("void", f"history:{CHAIN_ID}", 1, TIME, (void,))]
    return _taken_back(
        Kept(commits=commits, jobs={"old": job, "new": again}), job, holding, {holding} if is_away else ()
    )


def test_of_a_wallet_that_went_away_no_more_is_asked_than_is_below_its_records() -> None:
    assert asked_for(is_away=True) == 5


def test_of_a_wallet_that_went_away_what_was_taken_back_twice_is_asked_up_to_what_the_last_one_left() -> None:
    """The first two told nothing above what a reorg left; the one in the place of the second ends below it."""
    holding = Holding(TOKENS[0], NEWCOMER)
    job = Job("old", CHAIN_ID, 0, None, (holding,), state="done", anchors={holding: Anchor(30, 7, False)}, top=30)
    second = replace(job, id="second", created=1, told=30)
    third = replace(second, id="third", first=10, created=2, anchors={holding: Anchor(20, 3, False)})
    void = HistoryFilled(CHAIN_ID, holding, 10, 29, (), TokenInfo(), "second", void=True)
    jobs = {each.id: each for each in (job, second, third)}
    kept = Kept(commits=[Commit("void", f"history:{CHAIN_ID}", 1, TIME, (void,))], jobs=jobs)
    assert _taken_back(kept, job, holding, {holding}) == 20


def test_nor_where_nothing_was_told_that_could_be_taken_back() -> None:
    assert asked_for(is_away=True, told=None) == 5


def test_of_a_wallet_that_never_went_away_all_is_asked() -> None:
    assert asked_for(is_away=False) == 31


def test_of_an_order_up_to_some_block_none_is_asked_where_the_one_in_its_place_says_why() -> None:
    """That one has no upper end, and tells why it proves nothing of all that it was to fill."""
    holding = Holding(TOKENS[0], WALLETS[0])
    anchors = {holding: Anchor(30, 7, True)}
    job = Job("old", CHAIN_ID, 4, 20, (holding,), state="done", anchors=anchors, top=30, told=30)
    again = replace(job, id="new", last=None, reasons={holding: "its transfers leave 3 before block 4"}, created=1)
    void = HistoryFilled(CHAIN_ID, holding, 4, 20, (), TokenInfo(), "old", void=True)
    kept = Kept(commits=[Commit("void", f"history:{CHAIN_ID}", 1, TIME, (void,))], jobs={"old": job, "new": again})
    assert _taken_back(kept, job, holding, ()) == 4


def left_out(first: int, *, in_place: bool = True, told: int | None = 16) -> list[str]:
    """A job from block 5 was taken back, the one from `first` found nothing; blocks 8 and 12 have changes, unfilled."""
    world = World(Random(7))  # noqa: S311 - a story, not a secret
    for number in range(20):
        pays = number in (7, 11)
        _ = world.pay(TOKENS[0], OUTSIDE, WALLETS[0], 3) if pays else world.mine(busy=0)
    holding = Holding(TOKENS[0], WALLETS[0])
    anchors = {holding: Anchor(16, 3, False)}
    job = Job("old", CHAIN_ID, 5, None, (holding,), (holding,), state="done", anchors=anchors, top=16, told=told)
    again = replace(job, id="new", first=first, anchors={}, created=1, in_place_of="old" if in_place else None)
    passed = [Stretch(9, 18, is_cut=False, place=1)]
    return list(_is_complete(world, Kept(jobs={"old": job, "new": again}), job, holding, passed, ()))


def test_what_one_in_its_place_left_to_be_followed_may_be_passed_over() -> None:
    (line,) = left_out(5)
    assert "block 8" in line


def test_so_may_what_the_same_order_did_that_was_there_by_then() -> None:
    (line,) = left_out(5, in_place=False, told=None)
    assert "block 8" in line


@pytest.mark.parametrize(("first", "in_place"), [(6, True), (5, False)])
def test_what_nobody_left_to_be_followed_may_not(first: int, *, in_place: bool) -> None:
    assert len(left_out(first, in_place=in_place)) == 2


def passed_above(*facts: Fact) -> int:
    """The last block that the service knows, where after these it reads everything anew at block 20."""
    resync = StreamResync(CHAIN_ID, "a reorg deeper than the window", at(20), above=9)
    (stretch,) = passed_over(committed(fact, seq) for seq, fact in enumerate((*facts, resync), 1))
    return stretch.known


def committed(fact: Fact, seq: int = 1) -> Commit:
    return Commit(str(seq), f"chain:{CHAIN_ID}", seq, TIME, (fact,))


def at(number: int) -> BlockRef:
    return BlockRef(number, BlockHash(f"0x{number:064x}"), number)


def filled(wallet: Address, number: int) -> HistoryFilled:
    row = HistoryRow(at(number), 7, None, (), "latest", derived=False)
    return HistoryFilled(CHAIN_ID, Holding(TOKENS[0], wallet), 0, 9, (row,), TokenInfo(), "job")


def test_a_deep_reorg_passes_over_what_lies_above_the_newest_record_that_it_leaves() -> None:
    assert passed_above(filled(WALLETS[0], 5), filled(WALLETS[1], 12)) == 5
    assert passed_above(filled(WALLETS[1], 12)) == 0


def test_a_record_that_was_taken_back_before_it_says_nothing() -> None:
    void = replace(filled(WALLETS[0], 5), rows=(), void=True)
    assert passed_above(filled(WALLETS[0], 5), filled(WALLETS[1], 3), void) == 3
    assert passed_above(filled(WALLETS[0], 5), replace(void, last=4)) == 5
