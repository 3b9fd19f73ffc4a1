"""What waits for an actor, without the actor."""

from __future__ import annotations

import pytest

from actors.inbox import Inbox


class Letter:
    """An envelope that counts how often it is looked at or held against another."""

    looks = 0

    def __init__(self, message: object) -> None:
        self._message = message
        self.reply_to = None

    @property
    def message(self) -> object:
        Letter.looks += 1
        return self._message

    def __eq__(self, other: object) -> bool:
        Letter.looks += 1
        return self is other

    __hash__ = object.__hash__


@pytest.mark.parametrize("waiting", [100, 1_000])
async def test_taking_out_of_turn_looks_at_each_message_that_waits_a_few_times_at_most(waiting: int) -> None:
    inbox, Letter.looks = Inbox(), 0
    for number in range(waiting):
        inbox.put(Letter(str(number)))
        inbox.put(Letter(number))
    assert inbox.take(int) == list(range(waiting))
    assert Letter.looks <= 4 * 2 * waiting
    assert [inbox.get().message for _ in range(waiting)] == [str(number) for number in range(waiting)]
    assert inbox.empty()
