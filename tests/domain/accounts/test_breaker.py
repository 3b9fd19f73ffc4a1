"""The breaker opens after failures in a row, lets one probe through, and keeps away from refused credentials."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.accounts.breaker import FAILURES, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, SHARE, Breaker


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker = breaker.failed(now, "HTTP 503")
    return breaker


def test_failures_in_a_row_open_it() -> None:
    assert opened().state == "open"
    assert not opened().allows(FIRST_PAUSE_SECONDS - 0.01)


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker()
    for _ in range(3 * FAILURES):
        breaker = breaker.failed(0, "slow").succeeded()
    assert breaker.state == "closed"


def test_exactly_one_probe_passes_when_the_pause_is_over() -> None:
    breaker, passed = opened(), 0
    for _ in range(50):
        if breaker.allows(FIRST_PAUSE_SECONDS):
            passed += 1
            breaker = breaker.asked(FIRST_PAUSE_SECONDS)
    assert passed == 1


def test_a_good_probe_closes_it_and_a_bad_one_opens_it_again() -> None:
    probing = opened().asked(FIRST_PAUSE_SECONDS)
    assert probing.succeeded() == Breaker()
    assert probing.failed(10, "still").until == 10 + FIRST_PAUSE_SECONDS


def test_a_pause_is_a_share_of_the_time_that_the_venue_has_been_ill() -> None:
    ill = opened()
    for now, pause in ((20.0, FIRST_PAUSE_SECONDS), (600.0, 600 * SHARE), (86_400.0, LONGEST_PAUSE_SECONDS)):
        ill = ill.asked(now).failed(now, "still")
        assert ill.until == now + pause
    well = ill.succeeded().failed(86_500.0, "again")
    assert well.since == 86_500.0


def test_the_venues_own_pause_is_kept_to() -> None:
    breaker = Breaker().throttled(5, 60, "429")
    assert not breaker.allows(64.9)
    assert breaker.allows(65)
    assert breaker.failures == 0


def test_refused_credentials_suspend_it_whatever_else_happens() -> None:
    refused = Breaker().refused("invalid api key")
    assert refused.failed(1, "x").throttled(2, 3, "y").succeeded() == refused
    assert not refused.allows(1e9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=100))
def test_the_pause_is_bounded(jitters: list[float]) -> None:
    breaker = opened()
    for jitter in jitters:
        breaker = breaker.asked(1e9).failed(0, "down", jitter)
        assert FIRST_PAUSE_SECONDS / 2 <= breaker.until <= LONGEST_PAUSE_SECONDS
