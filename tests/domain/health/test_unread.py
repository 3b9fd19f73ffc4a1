"""Which balances a token does not tell, and up to where each is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from indexer.addresses import checksum
from indexer.domain.balances import Watch
from indexer.domain.chain import Holding
from indexer.domain.health.incidents import Incident
from indexer.domain.health.unread import Unread

USD, EUR = (checksum("0x" + two * 20) for two in ("aa", "bb"))
ALICE, BOB = (checksum("0x" + two * 20) for two in ("0a", "0b"))
HERS, HIS, EUROS = Holding(USD, ALICE), Holding(USD, BOB), Holding(EUR, ALICE)
THEN = datetime(2026, 11, 21, tzinfo=UTC)


def seen() -> Unread:
    return Unread().failed({HERS: "paused"}, 10, THEN, {HERS: 9})


def test_a_token_does_not_tell_since_the_first_of_its_balances_failed() -> None:
    later = seen().failed({HIS: "it reverts", EUROS: "no bytes"}, 12, THEN + timedelta(1), {HIS: 11, EUROS: 11})
    assert later.held == {HERS: 9, HIS: 11, EUROS: 11}
    assert later.tokens == {USD: Incident(10, "paused", THEN), EUR: Incident(12, "no bytes", THEN + timedelta(1))}
    assert (later.balances(USD), later.balances(EUR)) == (2, 1)


def test_what_fails_again_holds_no_longer_than_before() -> None:
    assert seen().failed({HERS: "paused"}, 20, THEN, {HERS: 19}) == seen()


def test_a_token_tells_again_when_all_of_its_balances_were_read() -> None:
    both = seen().failed({HIS: "paused"}, 10, THEN, {HIS: 9})
    assert both.answered({HERS, EUROS}).tokens == both.tokens
    assert both.answered({HERS, HIS}) == Unread()
    assert both.answered({EUROS}) is both


def test_a_reorg_below_leaves_only_what_held_there() -> None:
    assert seen().cut(5).held == {HERS: 5}
    assert seen().cut(50) == seen()


def test_what_is_not_watched_is_not_among_them() -> None:
    assert seen().within(Watch(frozenset({USD}), frozenset({BOB}))) == Unread()
    assert seen().within(Watch(frozenset({USD}), frozenset({ALICE}))) == seen()
