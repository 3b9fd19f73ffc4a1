"""When everybody is asked about a head that only the spare websocket told."""

from __future__ import annotations

import pytest

from indexer.clients.evm.hearing.rumours import Rumours
from tests.clients.evm.lines import head

BLOCK_SECONDS = 2.0


def times_asked(rumours: Rumours, *, blocks: int, behind_seconds: float) -> int:
    """How often, where all others have each block so much later than the spare websocket tells it."""
    asked, newest = 0, head(0)
    for number in range(1, blocks + 1):
        began = number * BLOCK_SECONDS
        rumours.told(head(number), newest, began)
        while (at := rumours.due_at) < began + behind_seconds:
            rumours.asked(newest, at)
            asked += 1
        newest = head(number)
        rumours.heard(newest, began + behind_seconds)
    return asked


@pytest.mark.parametrize("behind_seconds", [0.5, 1.0, 1.9])
def test_a_spare_websocket_that_is_always_ahead_has_everybody_asked_ever_less_often(behind_seconds: float) -> None:
    assert times_asked(Rumours(), blocks=500, behind_seconds=behind_seconds) < 10


def test_nobody_is_asked_about_what_is_heard_in_a_moment() -> None:
    assert times_asked(Rumours(), blocks=500, behind_seconds=0.3) == 0


def test_one_that_was_right_is_asked_about_within_a_moment_again() -> None:
    rumours = Rumours()
    times_asked(rumours, blocks=50, behind_seconds=1.9)
    for number, seconds in ((100, 60.0), (200, 0.5)):
        now = number * BLOCK_SECONDS
        rumours.told(head(number), head(number - 1), now)
        assert rumours.due_at - now < seconds
        rumours.heard(head(number), rumours.due_at)  # it was asked for then, and told
