"""A second websocket beside the one that is listened to, and heads that are overdue; everything is played."""

from __future__ import annotations

import asyncio
import math

import pytest

from indexer.clients.evm.hearing import heads, rumours, spare
from tests.clients.evm.builders import eventually
from tests.clients.evm.hearing.test_ear import feed, mining
from tests.clients.evm.lines import Place, Second
from tests.fixtures.fakenode import header


async def test_a_head_that_only_the_spare_websocket_tells_is_asked_for_within_a_moment() -> None:
    first, other, second = Place(), Place(), Second()
    async with feed(second, first, other, silence_seconds=60) as (made, heard):
        await mining([first, other], second, lambda: made.ear.live == "w0" and made.spare.name == "w1")
        asked, height = second.asked, first.height
        first.is_muted = True
        await mining([first, other], second, lambda: heard.numbers("poll")[-1:] > [height], seconds=1)
        assert second.asked > asked
        assert made.ear.live == "w0"
    assert heard.numbers() == sorted(set(heard.numbers()))


async def test_nothing_is_heard_from_a_spare_websocket_with_another_genesis() -> None:
    first, other, second = Place(), Place(height=1_000, genesis=header(0, "0x" + "5a" * 32)), Second()
    async with feed(second, first, other, silence_seconds=60) as (made, _):
        await mining([first, other], second, lambda: made.ear.live == "w0" and other.opened > 1)
        assert (made.spare.name, made._rumours.due_at) == (None, math.inf)


async def test_while_both_websockets_tell_heads_nobody_is_asked() -> None:
    first, other, second = Place(), Place(), Second()
    async with feed(second, first, other, silence_seconds=60) as (made, heard):
        await mining([first, other], second, lambda: made.spare.name == "w1")
        asked = second.asked
        await mining([other, first], second, lambda: heard.numbers("ws")[-1:] > [130])
        assert second.asked == asked


async def test_a_rumour_that_nobody_confirms_is_asked_about_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rumours, "_SECONDS", 0.02)
    first, other, second = Place(), Place(), Second()
    async with feed(second, first, other, silence_seconds=60) as (made, heard):
        await mining([first, other], second, lambda: made.ear.live == "w0" and made.spare.name == "w1")
        asked = second.asked
        other.height += 1_000_000
        other.repeat()
        await eventually(lambda: made._rumours.due_at < math.inf)
        await eventually(lambda: made._rumours.due_at == math.inf)
        assert second.asked - asked == rumours._TIMES
        assert heard.numbers()[-1] == first.height
        assert made.ear.live == "w0"


async def test_the_spare_websocket_is_another_one_than_the_one_in_use() -> None:
    first, other, second = Place(), Place(), Second()
    async with feed(second, first, other, silence_seconds=60) as (made, _):
        await mining([first, other], second, lambda: made.spare.name == "w1")
        first.fall()
        await mining([first, other], second, lambda: made.ear.live == "w1")
        first.is_open = True
        await mining([first, other], second, lambda: made.spare.name == "w0")


async def test_a_spare_websocket_that_falls_silent_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "_CHECK_SECONDS", 0.3)
    monkeypatch.setattr(spare, "_SHORTEST_PAUSE", 0.1)
    first, other, second = Place(), Place(), Second()
    async with feed(second, first, other, silence_seconds=60) as (made, _):
        await mining([first, other], second, lambda: made.spare.name == "w1")
        opened = other.opened
        other.is_muted = True
        await mining([first, other], second, lambda: other.opened > opened)


async def test_a_head_that_is_later_than_any_of_the_last_ones_is_asked_for_once() -> None:
    place, second = Place(), Second()
    second.others = 0
    async with feed(second, place, silence_seconds=60) as (made, heard):
        await mining([place], second, lambda: len(heard.numbers("ws")) > 20)
        asked = second.asked
        await eventually(lambda: second.asked == asked + 1, seconds=3)
        await asyncio.sleep(0.5)
        assert second.asked == asked + 1
        assert made.ear.live


async def test_the_head_that_others_have_when_ours_is_overdue_is_told_though_the_websocket_is_not_left() -> None:
    place, second = Place(), Second()
    async with feed(second, place, silence_seconds=60) as (made, heard):
        await mining([place], second, lambda: len(heard.numbers("ws")) > 20)
        second.others = place.height + 1
        await eventually(lambda: heard.numbers("poll")[-1:] == [second.others], seconds=2)
        assert made.ear.live
        place.mine(2)
        await eventually(lambda: heard.numbers("ws")[-1] == place.height)
    assert heard.numbers() == sorted(set(heard.numbers()))


async def test_while_heads_are_polled_everybody_is_asked_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_CHECK_SECONDS", 1.5)
    second = Second()
    second.others = 0
    async with feed(second, silence_seconds=1.5) as (_, heard):
        await mining([], second, lambda: len(heard.numbers("poll")) > 4)
        surveys = len(second.surveys)
        await mining([], second, lambda: len(second.surveys) > surveys)
        assert second.asked > 2 * len(second.surveys)


async def test_when_what_is_polled_stands_still_everybody_is_asked() -> None:
    second = Second()
    second.others = 0
    async with feed(second, silence_seconds=0.2) as (_, heard):
        await mining([], second, lambda: len(heard.numbers("poll")) > 4)
        second.others = second.height + 1
        await eventually(lambda: heard.numbers()[-1] == second.others)
    assert any(second.surveys)


async def test_a_websocket_that_stays_behind_is_left_and_not_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_CHECK_SECONDS", 0.3)
    place, second = Place(height=96), Second(100)
    async with feed(second, place, silence_seconds=0.1) as (made, heard):
        await mining([place], second, lambda: heard.numbers("poll"))
        opened = place.opened
        await mining([place], second, lambda: place.opened > opened)
        assert made.ear.live is None
        told = heard.numbers("poll")
        assert told == sorted(told)
