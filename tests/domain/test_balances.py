"""Which holdings a block may have changed, and what readings change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.balances import MOST_TOLD, BalanceUpdated, Watch, changes, differing, misfit, touched
from indexer.domain.chain import NATIVE, Address, Holding, Token, TokenInfo
from tests.domain.samples import DAI, INFO, UINT256, USDC, block_at, holding, transfer, tx, updated, wallet

HOLDINGS = st.builds(holding, st.integers(0, 4), st.sampled_from([NATIVE, USDC, DAI]))
BALANCES = st.dictionaries(HOLDINGS, st.integers(0, 5) | st.integers(0, UINT256))
WATCH = Watch(frozenset({USDC}), frozenset({wallet(0), wallet(1)}))
WATCHES = st.builds(Watch, st.frozensets(st.sampled_from([USDC, DAI])), st.frozensets(st.integers(0, 4).map(wallet)))


@given(BALANCES, BALANCES)
def test_changes_lead_from_what_held_to_what_was_read(previous: dict[Holding, int], read: dict[Holding, int]) -> None:
    told = changes(1, block_at(5), previous, read, (), {})
    after = {**previous, **{fact.holding: fact.balance for fact in told}}
    assert after == {**previous, **read}
    assert all(fact.change is None or (fact.previous or 0) + fact.change == fact.balance for fact in told)
    assert all(fact.balance != fact.previous for fact in told)


@given(BALANCES, BALANCES)
def test_what_was_told_once_is_not_told_again(previous: dict[Holding, int], read: dict[Holding, int]) -> None:
    told = changes(1, block_at(5), previous, read, (), {})
    after = {**previous, **{fact.holding: fact.balance for fact in told}}
    assert changes(1, block_at(6), after, read, (), {}) == ()


@given(st.lists(BALANCES, max_size=6))
def test_over_many_blocks_the_changes_sum_up_to_the_balance(blocks: list[dict[Holding, int]]) -> None:
    balances: dict[Holding, int] = {}
    sums: dict[Holding, int] = {}
    for number, read in enumerate(blocks):
        for fact in changes(1, block_at(number), balances, read, (), {}):
            sums[fact.holding] = sums.get(fact.holding, 0) + (fact.balance if fact.change is None else fact.change)
            balances[fact.holding] = fact.balance
    assert sums == balances


@given(BALANCES)
def test_updates_come_in_a_fixed_order(read: dict[Holding, int]) -> None:
    told = changes(1, block_at(5), {}, read, (), {})
    assert [fact.holding for fact in told] == sorted(read)
    assert told == changes(1, block_at(5), {}, dict(reversed(read.items())), (), {})


def test_the_first_reading_is_told_even_when_it_is_zero_and_has_no_change() -> None:
    (fact,) = changes(1, block_at(5), {}, {holding(): 0}, (), {}, "sync")
    assert (fact.previous, fact.balance, fact.change, fact.cause) == (None, 0, None, "first")


def test_a_reading_that_is_missing_is_not_zero() -> None:
    assert changes(1, block_at(5), {holding(): 7}, {}, (), {}) == ()


def test_the_cause_is_what_the_caller_knows_or_what_the_reading_tells() -> None:
    native, token = holding(0), holding(0, USDC)
    before, read = {native: 1, token: 1}, {native: 2, token: 2}
    logs = (transfer(wallet(9), wallet(0)),)
    assert {f.holding: f.cause for f in changes(1, block_at(5), before, read, logs, {})} == {
        native: "native",
        token: "transfer",
    }
    assert {f.holding: f.cause for f in changes(1, block_at(5), before, read, (), {})} == {
        native: "native",
        token: "sync",
    }
    assert {f.cause for f in changes(1, block_at(5), before, read, (), {}, "refresh")} == {"refresh"}


def test_updates_carry_what_the_token_says_of_itself_and_nothing_where_it_says_nothing() -> None:
    told = changes(1, block_at(5), {}, {holding(0, USDC): 1, holding(0, DAI): 1}, (), {USDC: INFO})
    assert {fact.holding.token: fact.info for fact in told} == {USDC: INFO, DAI: TokenInfo()}


def test_the_transactions_are_those_that_moved_it_in_the_blocks_order_each_once() -> None:
    moves = (
        transfer(wallet(9), wallet(0), index=4, transaction=3),
        transfer(wallet(0), wallet(9), index=1, transaction=1),
        transfer(wallet(0), wallet(9), index=2, transaction=1),
        transfer(wallet(9), wallet(0), index=0, transaction=8, token=DAI),
    )
    (fact,) = changes(1, block_at(5), {holding(0, USDC): 5}, {holding(0, USDC): 6}, moves, {})
    assert fact.transactions == (tx(1), tx(3))


def test_of_more_logs_than_a_document_holds_the_first_count_as_what_is_not_explained() -> None:
    usdc = holding(0, USDC)
    logs = [transfer(wallet(9), wallet(0), amount=2, index=index) for index in range(MOST_TOLD + 3)]
    (fact,) = changes(1, block_at(5), {usdc: 0}, {usdc: 2 * len(logs)}, logs, {})
    assert (fact.transfers, fact.unexplained) == (tuple(logs[3:]), 6)


def test_a_log_that_does_not_say_how_much_explains_nothing_and_is_of_the_change_all_the_same() -> None:
    usdc, here = holding(0, USDC), (transfer(wallet(0), wallet(9), amount=None, transaction=3),)
    earlier = transfer(wallet(9), wallet(0), amount=5)
    (fact,) = changes(1, block_at(5), {usdc: 6}, {usdc: 2}, here, {}, trail={usdc: (earlier,)})
    assert (fact.cause, fact.transactions) == ("transfer", (tx(3),))
    assert (fact.transfers, fact.unexplained) == ((earlier,), -9)
    (first,) = changes(1, block_at(5), {}, {usdc: 2}, here, {})
    assert (first.transfers, first.unexplained) == ((), None)


def test_a_transfer_to_oneself_is_one_transaction() -> None:
    moves = (transfer(wallet(0), wallet(0)),)
    (fact,) = changes(1, block_at(5), {}, {holding(0, USDC): 6}, moves, {})
    assert fact.transactions == (tx(1),)


def test_both_ends_of_a_transfer_are_touched_where_they_are_watched() -> None:
    moves = [
        transfer(wallet(0), wallet(1)),
        transfer(wallet(9), wallet(1)),
        transfer(wallet(0), wallet(9), token=DAI),
        transfer(wallet(8), wallet(9)),
    ]
    assert touched(moves, WATCH) == {holding(0, USDC), holding(1, USDC)}


def test_every_token_and_the_native_coin_of_every_solver_is_watched() -> None:
    assert WATCH.holdings() == {holding(0), holding(1), holding(0, USDC), holding(1, USDC)}
    assert WATCH.natives() == {holding(0), holding(1)}
    assert all(WATCH.covers(each) for each in WATCH.holdings())
    assert not WATCH.covers(holding(0, DAI))
    assert not WATCH.covers(holding(2))
    assert Watch().holdings() == frozenset()


@given(WATCHES, WATCHES)
def test_a_watch_tells_what_it_has_beyond_another(one: Watch, other: Watch) -> None:
    assert one.beyond(other) == one.holdings() - other.holdings()
    assert one.of(other.holdings()) == one.holdings() & other.holdings()


def test_an_update_without_a_previous_balance_has_no_change() -> None:
    assert updated(5, 7).change is None
    assert updated(5, 7, 9).change == -2


@given(st.lists(BALANCES, min_size=1, max_size=6), st.integers(0, 5))
def test_what_records_say_held_at_an_older_block_is_what_was_read_there(
    blocks: list[dict[Holding, int]], older: int
) -> None:
    balances: dict[Holding, int] = {}
    facts: list[BalanceUpdated] = []
    at_older: dict[Holding, int] = {}
    for number, read in enumerate(blocks):
        facts += changes(1, block_at(number), balances, read, (), {})
        balances.update(read)
        if number <= older:
            at_older = dict(balances)
    later = [fact for fact in facts if fact.block.number > older]
    assert differing(at_older, balances, later) == set()
    wrong = {key: value + 1 for key, value in at_older.items()}
    assert differing(wrong, balances, later) == wrong.keys()


def test_a_balance_that_was_first_read_above_the_block_cannot_be_told_to_differ() -> None:
    ours, never = holding(0), holding(1)
    assert differing({ours: 5, never: 7}, {ours: 6}, [updated(9, 6, None)]) == {never}


@given(WATCHES, st.none() | st.sampled_from([NATIVE, USDC, DAI]), st.none() | st.integers(0, 4).map(wallet))
def test_what_fits_an_order_is_all_of_its_token_and_solver(
    watch: Watch, token: Token | None, solver: Address | None
) -> None:
    fitting = watch.fitting(token, solver)
    assert set(fitting) == {
        holding for holding in watch.holdings() if token in (None, holding.token) and solver in (None, holding.solver)
    }
    assert (list(fitting), watch.has(token, solver)) == (sorted(fitting), bool(fitting))
    if not fitting and solver is not None:
        assert misfit([watch], token, solver) == ("token" if solver in watch.solvers else "solver")


def test_of_what_is_watched_but_not_together_the_token_does_not_fit() -> None:
    apart = [Watch(frozenset({USDC}), frozenset({wallet(0)})), Watch(frozenset({DAI}), frozenset({wallet(1)}))]
    assert misfit(apart, USDC, wallet(1)) == "token"
    assert misfit(apart, USDC, wallet(2)) == "solver"
    assert misfit([Watch()], USDC, None) == "token"
    assert misfit([Watch()], NATIVE, None) is None
