"""When a dead child is started again, and when not any more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.restarts import Deaths, GiveUp, RestartAfter, RestartPolicy, after_death

POLICIES = st.builds(
    RestartPolicy,
    first_seconds=st.floats(0.001, 1),
    longest_seconds=st.floats(1, 100),
    healthy_seconds=st.floats(10, 1_000),
    most_restarts=st.integers(0, 2_000),
)
JITTER = st.floats(0, 1, exclude_max=True)


@given(POLICIES, st.integers(0, 3_000), st.floats(0, 9), JITTER)
def test_a_pause_stays_within_its_bounds_and_deaths_past_the_bound_give_up(
    policy: RestartPolicy, in_a_row: int, lived: float, jitter: float
) -> None:
    match after_death(policy, Deaths(in_a_row, in_a_row), lived, jitter):
        case RestartAfter(seconds, deaths):
            assert in_a_row < policy.most_restarts
            assert policy.first_seconds / 2 <= seconds <= policy.longest_seconds
            assert deaths == Deaths(in_a_row + 1, in_a_row + 1)
        case GiveUp(deaths):
            assert in_a_row >= policy.most_restarts
            assert deaths.in_a_row == in_a_row + 1


@given(POLICIES.filter(lambda policy: policy.most_restarts > 0), st.integers(0, 3_000), st.floats(1_000, 1e9), JITTER)
def test_after_a_healthy_life_the_first_pause_comes_again(
    policy: RestartPolicy, in_a_row: int, lived: float, jitter: float
) -> None:
    outcome = after_death(policy, Deaths(in_a_row, in_a_row), lived, jitter)
    assert isinstance(outcome, RestartAfter)
    assert outcome.seconds <= policy.first_seconds
    assert outcome.deaths == Deaths(1, in_a_row + 1)


def test_the_default_gives_up_after_eight_restarts_within_about_half_a_minute() -> None:
    policy, deaths = RestartPolicy(), Deaths()
    pauses: list[float] = []
    while isinstance(outcome := after_death(policy, deaths, 0, 0.999), RestartAfter):
        deaths, pauses = outcome.deaths, [*pauses, outcome.seconds]
    assert len(pauses) == 8
    assert 20 < sum(pauses) < 30
    assert outcome.deaths.in_a_row == 9
