"""What was told can be read: whoever answers waits for it, bounded."""

from __future__ import annotations

import asyncio

import pytest

from actors import positions as module
from actors.positions import Positions
from indexer.errors import StoreUnavailable

SECONDS = 5.0


async def test_nobody_waits_when_all_that_was_told_can_be_read() -> None:
    positions = Positions({"chain:1": 4}, {"chain:1": 4, "chain:2": 9})
    answer = asyncio.ensure_future(positions.caught_up())
    await asyncio.sleep(0)
    assert answer.done()


async def test_an_answer_waits_for_what_was_told_until_it_was_asked_and_no_longer() -> None:
    positions = Positions({}, {})
    positions.tell("chain:1", 4)
    positions.tell("chain:2", 2)
    waiting = asyncio.ensure_future(positions.caught_up())
    await asyncio.sleep(0)
    positions.tell("chain:1", 9)
    positions.project({"chain:1": 4})
    await asyncio.sleep(0)
    assert not waiting.done()
    positions.project({"chain:2": 2})
    await asyncio.wait_for(waiting, SECONDS)


async def test_many_may_wait_at_once() -> None:
    positions = Positions({"chain:1": 4}, {})
    waiting = [asyncio.ensure_future(positions.caught_up()) for _ in range(100)]
    await asyncio.sleep(0)
    assert not any(one.done() for one in waiting)
    positions.project({"chain:1": 4})
    await asyncio.wait_for(asyncio.gather(*waiting), SECONDS)


async def test_an_ill_store_is_named_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    with pytest.raises(StoreUnavailable, match="lag behind"):
        await asyncio.wait_for(Positions({"chain:1": 4}, {"chain:1": 3}).caught_up(), SECONDS)


def test_positions_never_go_back() -> None:
    positions = Positions({"chain:1": 4}, {"chain:1": 4})
    positions.tell("chain:1", 2)
    positions.project({"chain:1": 1})
    assert (positions.told(), positions.projected()) == ({"chain:1": 4}, {"chain:1": 4})


def test_positions_are_not_shared_with_those_who_gave_them() -> None:
    given = {"chain:1": 4}
    positions = Positions(given, given)
    positions.tell("chain:1", 9)
    assert given == {"chain:1": 4}
