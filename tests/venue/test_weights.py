from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from indexer.demo.venue.weights import Budget, Cost, Weights

WINDOW = Budget("window", 100, 60, ban_after=3)
POOL = Budget("pool", 10, refill=2, per="key")


def charge(weights: Weights, now: float, weight: float = 60, *, budget: Budget = WINDOW, key: str = "k") -> str:
    found = weights.charge("okx", (Cost(budget, weight),), ip="ip", key=key, now=now)
    return "" if found is None else f"{'banned ' if found.banned else ''}{found.retry_after:g}"


def test_a_window_begins_when_the_clock_says_not_with_the_first_request() -> None:
    weights = Weights()
    assert charge(weights, 170) == ""
    assert charge(weights, 175) == "5"
    assert charge(weights, 180) == ""
    assert weights.used("okx") == {"window": 60}
    assert weights.most("okx") == {"window": (60, 100)}


def test_who_does_not_stop_is_banned_and_comes_back() -> None:
    weights = Weights()
    assert [charge(weights, 121), charge(weights, 122), charge(weights, 123)] == ["", "58", "57"]
    assert charge(weights, 124) == "banned 120"
    assert charge(weights, 190, 1) == "banned 54"
    assert charge(weights, 245, 1) == ""
    assert weights.refused["okx"] == 4


def test_a_pool_fills_again_and_each_key_has_its_own() -> None:
    weights = Weights()
    assert charge(weights, 0, 10, budget=POOL) == ""
    assert charge(weights, 0, 1, budget=POOL, key="other") == ""
    assert charge(weights, 0, 1, budget=POOL) == "0.5"
    assert charge(weights, 1, 2, budget=POOL) == ""
    assert charge(weights, 1, 1, budget=POOL) == "0.5"


def test_a_request_that_one_budget_refuses_is_booked_in_none() -> None:
    weights = Weights()
    assert charge(weights, 0, 100) == ""
    assert weights.charge("okx", (Cost(POOL, 1), Cost(WINDOW, 1)), ip="ip", key="k", now=1) is not None
    assert "pool" not in weights.used("okx")


def test_a_generous_venue_counts_what_it_lets_pass() -> None:
    weights = Weights()
    weights.enforced = False
    assert [charge(weights, 0), charge(weights, 1), charge(weights, 2)] == ["", "", ""]
    assert (weights.exceeded["okx"], weights.refused["okx"]) == (2, 0)
    assert weights.most("okx") == {"window": (180, 100)}


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), max_size=60))
def test_no_window_ever_holds_more_than_its_limit(asked: list[tuple[float, int]]) -> None:
    weights, now = Weights(), 0.0
    passed: dict[int, int] = {}
    for pause, weight in asked:
        now += pause
        if charge(weights, now, weight) == "":
            passed[int(now // 60)] = passed.get(int(now // 60), 0) + weight
    assert all(used <= 100 for used in passed.values())
