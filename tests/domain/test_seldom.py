"""What happens again and again is said once an hour."""

from __future__ import annotations

from indexer.domain.seldom import HOUR_SECONDS, Seldom


def test_the_first_is_said_and_the_next_an_hour_later() -> None:
    seldom = Seldom()
    moments = (5.0, 6.0, 5.0 + HOUR_SECONDS - 1, 5.0 + HOUR_SECONDS, 6.0 + HOUR_SECONDS)
    assert [seldom.may_say("a node", now) for now in moments] == [True, False, False, True, False]


def test_one_kind_does_not_silence_another() -> None:
    seldom = Seldom()
    assert [seldom.may_say(kind, 0.0) for kind in ("a", "b", "a")] == [True, True, False]
