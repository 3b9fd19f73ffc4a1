"""What was passed over is ordered to be filled, of those alone whose records hold up to it."""

from __future__ import annotations

from dataclasses import replace

from indexer.domain.chain import NATIVE, Holding
from indexer.domain.commits import Commit
from indexer.domain.facts import Passed, StreamResync
from indexer.domain.gaps import Gap, gap_of
from indexer.domain.jobs import MOST_BALANCES, orders_of
from indexer.domain.records import fold
from tests.repositories.samples import TIME, USDC, head_at, solver_at

TOKEN, COIN = Holding(USDC, solver_at(1)), Holding(NATIVE, solver_at(1))
PASSED = Passed(head_at(5).ref, (TOKEN, COIN), (TOKEN,))
RESYNC = StreamResync(1, "pruned", head_at(9).ref, passed=PASSED)


def test_blocks_between_the_last_that_was_followed_and_the_one_read_anew_are_a_gap() -> None:
    assert gap_of(RESYNC, 7, TIME) == Gap(1, 9, PASSED, 7, TIME)
    assert fold([Commit("id", "chain:1", 7, TIME, (RESYNC,))]).gaps == [Gap(1, 9, PASSED, 7, TIME)]


def test_nothing_is_ordered_where_no_block_lies_in_between_or_nobody_was_followed() -> None:
    for passed in (None, PASSED._replace(after=head_at(8).ref), PASSED._replace(followed=())):
        assert gap_of(replace(RESYNC, passed=passed), 7, TIME) is None


def test_tokens_and_natives_are_orders_of_their_own_from_one_end_of_the_gap_to_the_other() -> None:
    tokens, natives = orders_of(Gap(1, 9, PASSED, 7, TIME))
    assert (tokens.holdings, natives.holdings) == ((TOKEN,), (COIN,))
    assert {(job.first, job.last, job.after) for job in (tokens, natives)} == {(6, 8, head_at(5).ref)}
    assert tokens.trailing == {TOKEN}
    assert not natives.trailing
    ordered = replace(tokens, after=None, created=0)
    taken_back = replace(ordered, in_place_of="another", created=tokens.created + 9)
    assert sorted((ordered, natives, tokens, taken_back), key=lambda job: job.turn) == [
        taken_back,
        tokens,
        natives,
        ordered,
    ]


def test_the_same_gap_leads_to_the_same_orders_however_often_it_is_projected() -> None:
    gap = Gap(1, 9, PASSED, 7, TIME)
    assert list(orders_of(gap)) == list(orders_of(gap))
    assert {job.id for job in orders_of(gap)}.isdisjoint(job.id for job in orders_of(gap._replace(seq=8)))


def test_of_many_balances_there_are_many_orders_each_of_which_fits_a_document() -> None:
    many = tuple(Holding(USDC, solver_at(n)) for n in range(2 * MOST_BALANCES + 1))
    orders = list(orders_of(Gap(1, 9, PASSED._replace(followed=(COIN, *many)), 7, TIME)))
    assert [len(order.holdings) for order in orders] == [MOST_BALANCES, MOST_BALANCES, 1, 1]
    assert len({order.id for order in orders}) == 4
    assert {holding for order in orders for holding in order.holdings} == {COIN, *many}
    assert [order.is_native for order in orders] == [False, False, False, True]


def test_a_gap_is_gone_on_from_only_where_all_below_was_followed_or_filled() -> None:
    tokens, _ = orders_of(Gap(1, 9, PASSED, 7, TIME))
    assert tokens.goes_on
    filled = replace(tokens, first=8, filled_from=6)
    assert filled.goes_on
    assert not replace(filled, filled_from=7).goes_on, "block 6 could not be read"
    assert not replace(tokens, after=None).goes_on


def test_logs_are_all_known_only_right_above_what_was_followed() -> None:
    tokens, _ = orders_of(Gap(1, 9, PASSED._replace(trailing=()), 7, TIME))
    assert tokens.is_accounted_for(TOKEN, 2)
    assert not replace(tokens, trailing=frozenset({TOKEN})).is_accounted_for(TOKEN, 2)
    assert not replace(tokens, first=8, filled_from=6).is_accounted_for(TOKEN, 2)


def test_an_order_once_more_still_knows_up_to_where_the_chain_was_followed() -> None:
    (tokens, _) = orders_of(Gap(1, 9, PASSED, 7, TIME))
    again = replace(tokens, state="settling", records=4).as_order(in_place_of=tokens.id)
    assert (again.after, again.last, again.state) == (head_at(5).ref, None, "queued")
    assert again.trailing == {TOKEN}
    assert (again.in_place_of, again.records, again.id) == (tokens.id, 0, "")
