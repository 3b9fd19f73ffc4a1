"""What the oracle asks of history that a reorg took back, and that was filled again."""

from __future__ import annotations

from dataclasses import replace

from indexer.domain.chain import Address, BlockHash, BlockRef, Holding, TokenInfo
from indexer.domain.commits import Commit
from indexer.domain.facts import Fact, HistoryFilled, HistoryRow, StreamResync
from indexer.domain.jobs import Anchor, Job
from tests.actors.fakes import TIME
from tests.sim.passed import passed_over
from tests.sim.past import _taken_back
from tests.sim.store.disk import Kept
from tests.sim.world import CHAIN_ID, NEWCOMER, TOKENS, WALLETS


def asked_for(wallet: Address, told: int | None = 30) -> int:
    """Walked back from block 30 by a job that a reorg took back; the one in its place found a record of block 5."""
    holding = Holding(TOKENS[0], wallet)
    anchors = {holding: Anchor(30, 7, False)}
    job = Job("old", CHAIN_ID, 0, None, (holding,), state="done", anchors=anchors, top=30, told=told)
    again = replace(job, id="new", anchors={holding: Anchor(5, 0, True)}, top=5, created=1)
    void = HistoryFilled(CHAIN_ID, holding, 0, 29, (), TokenInfo(), "old", void=True)
    commits = [] if told is None else [Commit("void", f"history:{CHAIN_ID}", 1, TIME, (void,))]
    return _taken_back(Kept(commits=commits, jobs={"old": job, "new": again}), job, holding)


def test_of_a_wallet_that_went_away_no_more_is_asked_than_is_below_its_records() -> None:
    assert asked_for(NEWCOMER) == 5


def test_nor_where_nothing_was_told_that_could_be_taken_back() -> None:
    assert asked_for(NEWCOMER, told=None) == 5


def test_of_a_wallet_that_never_went_away_all_is_asked() -> None:
    assert asked_for(WALLETS[0]) == 31


def test_of_an_order_up_to_some_block_none_is_asked_where_the_one_in_its_place_says_why() -> None:
    """That one has no upper end, and tells why it proves nothing of all that it was to fill."""
    holding = Holding(TOKENS[0], WALLETS[0])
    anchors = {holding: Anchor(30, 7, True)}
    job = Job("old", CHAIN_ID, 4, 20, (holding,), state="done", anchors=anchors, top=30, told=30)
    again = replace(job, id="new", last=None, reasons={holding: "its transfers leave 3 before block 4"}, created=1)
    void = HistoryFilled(CHAIN_ID, holding, 4, 20, (), TokenInfo(), "old", void=True)
    kept = Kept(commits=[Commit("void", f"history:{CHAIN_ID}", 1, TIME, (void,))], jobs={"old": job, "new": again})
    assert _taken_back(kept, job, holding) == 4


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
