"""How long a stream stays closed that was lost, or never opened."""

from __future__ import annotations

import pytest

from indexer.clients.exchange.pausing import LONGEST_SECONDS, REFUSED_SECONDS, pause_after
from indexer.errors import BadCredentials, IndexerError, Throttled, VenueUnreachable, WalletUnsupported


@pytest.mark.parametrize("error", [BadCredentials("no key"), WalletUnsupported("not for this key")])
@pytest.mark.parametrize("failures", [1, 9])
def test_who_is_not_let_in_does_not_knock_on_and_on(error: IndexerError, failures: int) -> None:
    assert pause_after(error, failures, 1.0) == REFUSED_SECONDS
    assert pause_after(error, failures, 0.0) >= REFUSED_SECONDS / 2


def test_whatever_else_it_is_the_next_one_comes_soon_and_later_ones_less_often() -> None:
    pauses = [pause_after(VenueUnreachable("cut"), failures, 1.0) for failures in range(1, 12)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.5, LONGEST_SECONDS)


def test_never_sooner_than_the_venue_asks_for() -> None:
    assert pause_after(Throttled("slow down", 120.0), 1, 0.0) == 120.0
