"""What was passed over is ordered to be filled, of those alone whose records hold up to it."""

from __future__ import annotations

from dataclasses import replace

from indexer.domain.balances import BalanceUpdated, Cause
from indexer.domain.chain import NATIVE, Holding, TokenInfo, Transfer, TxHash
from indexer.domain.history.orders import MOST_BALANCES, orders_of
from indexer.domain.recording.gaps import Gap, gap_of, later_than
from indexer.domain.recording.records import fold
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, Confirmed, Fact, Passed, StreamResync
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


def told(number: int, cause: Cause, previous: int | None = 1, *, apart: bool = False) -> BalanceUpdated:
    return BalanceUpdated(1, TOKEN, previous, 2, head_at(number).ref, cause, TokenInfo(), unexplained=0, apart=apart)


def doubted(*facts: Fact) -> bool:
    return TOKEN in later_than(5, [Commit("id", "chain:1", 7, TIME, facts)]).doubtful


def test_what_a_record_calls_the_previous_held_below_it_unless_it_was_found_by_a_read_or_was_the_first() -> None:
    assert not doubted(told(6, "transfer"), told(9, "transfer"))
    assert not doubted(told(5, "sync"))  # that is no later
    assert doubted(told(6, "transfer"), told(9, "sync"))
    assert doubted(told(6, "refresh"))
    assert doubted(told(6, "first", None))
    assert doubted(told(6, "transfer", apart=True))


def test_a_resync_says_so_only_of_those_who_were_followed_at_that_block() -> None:
    read_anew = told(9, "resync")
    assert not doubted(RESYNC, read_anew)
    assert doubted(read_anew)  # the part of a commit that tells of it is not there
    assert doubted(replace(RESYNC, passed=PASSED._replace(after=head_at(4).ref)), read_anew)
    assert doubted(replace(RESYNC, passed=PASSED._replace(followed=(COIN,))), read_anew)
    confirmed = (Confirmed(TOKEN, 2, TokenInfo()),)
    assert not doubted(replace(RESYNC, confirmed=confirmed))
    assert doubted(replace(RESYNC, confirmed=confirmed, passed=None))


def test_a_record_that_a_reorg_left_at_its_ancestor_is_from_blocks_of_which_nobody_knew() -> None:
    fact = BalanceReverted(1, TOKEN, 2, 1, head_at(7).ref, TokenInfo(), (), anchor=True)
    assert doubted(told(8, "transfer"), fact)
    assert not doubted(told(8, "transfer"), replace(fact, anchor=False))
    assert not doubted(told(6, "transfer"), replace(fact, block=head_at(5).ref))


def test_logs_that_a_later_record_accounts_for_are_left_open_where_it_is_taken_back() -> None:
    def trail(number: int) -> Transfer:
        block = head_at(number).ref
        return Transfer(USDC, solver_at(2), TOKEN.solver, 1, block.hash, TxHash("0x1"), 0, number)

    def is_trailing(fact: BalanceUpdated) -> bool:
        return TOKEN in later_than(5, [Commit("id", "chain:1", 7, TIME, (fact,))]).trailing

    later = told(8, "transfer")
    assert is_trailing(replace(later, transfers=(trail(5), trail(8))))
    assert not is_trailing(replace(later, transfers=(trail(8),)))
    assert is_trailing(replace(later, unexplained=None))
