"""When a websocket is relied on, and when not; websocket and second source are played."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from indexer.clients.evm.hearing import ear, heads
from indexer.clients.evm.hearing.heads import HeadFeed
from indexer.clients.evm.transfers.hints import Hints
from indexer.domain.balances import Watch
from indexer.domain.following.feed import FeedEvent, HeadHeard, HeadsLost
from indexer.errors import NodeUnreachable, WrongChain
from tests.actors.fakes import USDC, wallet
from tests.clients.evm.builders import eventually
from tests.clients.evm.lines import Place, Second, opening
from tests.fixtures.fakenode import header


class Heard(list[FeedEvent]):
    def numbers(self, source: str | None = None) -> list[int]:
        return [each.head.number for each in self if isinstance(each, HeadHeard) and source in (None, each.source)]

    def kinds(self) -> list[str]:
        return [type(each).__name__ for each in self if not isinstance(each, HeadHeard)]


@asynccontextmanager
async def feed(second: Second, *places: Place, silence_seconds: float = 0.4) -> AsyncIterator[tuple[HeadFeed, Heard]]:
    urls = {f"ws://w{index}": place for index, place in enumerate(places)}
    made = HeadFeed(
        list(urls), second, chain="test", hints=Hints(), silence_seconds=silence_seconds, opened=opening(urls),
        chance=lambda: 0.0,
    )  # fmt: skip
    heard = Heard()
    task = asyncio.create_task(made.run(heard.append))
    try:
        yield made, heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def mining(places: list[Place], second: Second, until: Callable[[], Any], seconds: float = 10.0) -> None:
    """A block every 50 ms, until something holds."""
    for _ in range(int(seconds / 0.05)):
        if until():
            return
        second.height += 1
        for place in places:
            place.mine()
        await asyncio.sleep(0.05)
    raise AssertionError(f"still not so after {seconds} s")


async def test_a_silent_socket_is_found_within_the_bound_and_no_block_is_missed_afterwards() -> None:
    place, second = Place(), Second()
    async with feed(second, place) as (made, heard):
        await mining([place], second, lambda: len(heard.numbers("ws")) > 20)
        place.is_muted = True
        silent_at, last = time.monotonic(), place.height
        await mining([place], second, lambda: heard.numbers("poll"))
        # The bound is 0.4 s here; half a block time and the grace of a quarter second are in it.
        assert time.monotonic() - silent_at < 0.4 + 0.3
        await mining([place], second, lambda: len(heard.numbers("poll")) > 3)
        assert heard.numbers()[-1] > last
        place.is_muted = False
        await mining([place], second, lambda: made.ear.live)
        at = len(heard.numbers("ws"))
        await mining([place], second, lambda: len(heard.numbers("ws")) > at + 3)
    assert heard.kinds() == []


async def test_a_socket_that_was_silent_is_believed_again_only_when_it_tells_a_head_by_itself() -> None:
    place, second = Place(), Second()
    async with feed(second, place, silence_seconds=0.2) as (made, heard):
        await eventually(lambda: made.ear.live)
        place.is_muted = True
        await mining([place], second, lambda: heard.numbers("poll"))
        await mining([place], second, lambda: made.ear.on_trial)
        asked = second.asked
        await mining([place], second, lambda: second.asked > asked + 2)
        assert made.ear.live is None
        opened = place.opened
        await mining([place], second, lambda: place.opened > opened)  # a subscription that is dead is made anew
        place.is_muted = False
        await mining([place], second, lambda: made.ear.live)


async def test_a_socket_that_answers_everything_but_tells_nothing_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ear, "_LONGEST_PAUSE", 0.1)
    place, second = Place(is_muted=True), Second()
    with capture_logs() as lines:
        async with feed(second, place, silence_seconds=0.1) as (made, heard):
            await mining([place], second, lambda: place.opened > 5)
            place.is_muted = False
            await mining([place], second, lambda: made.ear.live)
    assert [line["event"] for line in lines] == ["socket_open", "socket_lost", "socket_open"]
    assert heard.kinds() == []


STRANGE = header(0, "0x" + "5a" * 32)


async def test_a_socket_with_another_genesis_is_not_listened_to() -> None:
    stranger, place, second = Place(height=1_000, genesis=STRANGE), Place(), Second()
    with capture_logs() as lines:
        async with feed(second, stranger, place) as (made, heard):
            await mining([stranger, place], second, lambda: len(heard.numbers("ws")) > 5)
            assert made.ear.live == "w1"
    assert max(heard.numbers()) < 1_000
    (lost,) = [line for line in lines if line["event"] == "socket_lost"]
    assert "0x5a5a" in lost["reason"]


async def test_a_socket_of_a_node_that_has_forgotten_its_genesis_is_listened_to() -> None:
    with capture_logs() as lines:
        async with feed(Second(), Place(genesis=None)) as (made, _):
            await eventually(lambda: made.ear.live)
    assert [line["event"] for line in lines if line["event"].startswith("socket")] == ["socket_open"]


@pytest.mark.parametrize("number", [[1], {"id": 1}, 1.5, "1", None, True])
async def test_a_frame_that_answers_nothing_we_asked_ends_no_feed(number: Any) -> None:
    place, second = Place(), Second()
    async with feed(second, place) as (made, heard):
        await eventually(lambda: made.ear.live)
        place.lines[0].put({"id": number, "result": None})
        before = second.height
        await mining([place], second, lambda: second.height > before + 5 and second.height in heard.numbers())


@pytest.mark.parametrize("words", ["resource not found", "execution reverted", "timed out", "what?"])
async def test_a_node_that_refuses_hints_tells_heads_whatever_its_words(words: str) -> None:
    place = Place(refuses_logs=True, refusal={"code": -32000, "message": words})
    second = Second()
    async with feed(second, place) as (made, _):
        made.watch(Watch(frozenset([USDC]), frozenset([wallet(1)])))
        await mining([place], second, lambda: second.height > 130)
        assert made.ear.live
        assert (place.opened, place.refused) == (1, 1)


async def test_a_socket_with_another_genesis_is_not_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ear, "_BETTER_SECONDS", 0.1)
    stranger, place, second = Place(genesis=STRANGE), Place(), Second()
    async with feed(second, stranger, place) as (made, _):
        await mining([stranger, place], second, lambda: stranger.opened > 4)
        assert made.ear.live == "w1"


async def test_a_socket_that_lags_far_behind_what_others_know_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_CHECK_SECONDS", 0.3)
    place, second = Place(height=50), Second(100)
    async with feed(second, place) as (made, heard):
        await eventually(lambda: made.ear.live)
        for _ in range(100):
            place.mine()
            second.height += 1
            await asyncio.sleep(0.02)
            if heard.numbers("poll"):
                break
        assert heard.numbers("poll")[0] >= 100


async def test_a_socket_of_a_node_that_syncs_from_zero_is_left_and_not_told() -> None:
    place, second = Place(height=1_000), Second(1_000)
    async with feed(second, place, silence_seconds=5) as (made, heard):
        await eventually(lambda: made.ear.live)
        place.height = 4
        place.repeat()
        await eventually(lambda: made.ear.live is None)
    assert 4 not in heard.numbers()


async def test_heads_are_lost_for_the_reason_that_the_endpoints_give() -> None:
    second = Second()
    second.refused = "one: HTTP 401"
    second.answers.clear()
    async with feed(second) as (_, heard):
        await eventually(heard.kinds)
        assert heard[-1] == HeadsLost("one: HTTP 401")


async def test_a_pause_that_the_provider_asks_for_is_told_when_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(heads, "_ASKED_TO_WAIT_SECONDS", 1.0)
    second = Second()
    async with feed(second) as (_, heard):
        await eventually(heard.numbers)
        second.is_asked_to_wait, second.refused = True, "one: HTTP 429"
        second.answers.clear()
        began = time.monotonic()
        await eventually(heard.kinds)
        assert time.monotonic() - began > 0.9
        assert heard[-1] == HeadsLost("one: HTTP 429")


async def test_a_pause_that_ends_in_time_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_ANSWER_SECONDS", 0.1)
    second = Second()
    async with feed(second) as (_, heard):
        await eventually(heard.numbers)
        second.is_asked_to_wait = True
        second.answers.clear()
        await asyncio.sleep(0.8)
        second.answers.set()
        await eventually(lambda: second.asked > 1)
    assert heard.kinds() == []


async def test_once_nobody_answers_heads_are_asked_for_twice_a_second_until_they_are_back() -> None:
    place, second = Place(), Second()
    async with feed(second, place, silence_seconds=3.0) as (made, heard):
        await eventually(lambda: made.ear.live)
        second.error = NodeUnreachable("down")
        await eventually(lambda: heard.kinds() == ["HeadsLost"])
        second.error = None
        began = time.monotonic()
        await eventually(lambda: heard.kinds() == ["HeadsLost", "HeadsBack"])
        assert time.monotonic() - began < 1.0


async def test_that_only_another_chain_answers_is_told_though_heads_were_lost_before() -> None:
    second = Second()
    second.error = NodeUnreachable("down")
    async with feed(second) as (_, heard):
        await eventually(lambda: heard == [HeadsLost("down")])
        second.error = WrongChain("another genesis")
        await eventually(lambda: heard == [HeadsLost("down"), HeadsLost("another genesis", is_wrong_chain=True)])
        asked = second.asked
        await eventually(lambda: second.asked > asked + 2)
        assert len(heard) == 2


async def test_that_nobody_answers_is_told_before_the_question_ends() -> None:
    place, second = Place(), Second()
    async with feed(second, place) as (_, heard):
        await mining([place], second, lambda: len(heard.numbers("ws")) > 5)
        place.is_muted = True
        second.answers.clear()
        began = time.monotonic()
        await mining([place], second, heard.kinds)
        assert time.monotonic() - began < 0.4 + 1.3
        second.answers.set()
        await mining([place], second, lambda: heard.kinds() == ["HeadsLost", "HeadsBack"])


async def test_a_second_source_that_fails_is_no_loss_while_the_websocket_talks() -> None:
    place, second = Place(), Second()
    async with feed(second, place, silence_seconds=0.1) as (made, heard):
        await eventually(lambda: made.ear.live)
        second.error = NodeUnreachable("down")
        await mining([place], second, lambda: len(heard.numbers("ws")) > 40)
    assert heard.kinds() == []


async def test_the_preferred_websocket_is_taken_back_once_it_tells_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ear, "_BETTER_SECONDS", 0.4)
    first, other, second = Place(), Place(), Second()
    async with feed(second, first, other, silence_seconds=5) as (made, heard):
        await mining([first, other], second, lambda: made.ear.live == "w0")
        first.fall()
        await mining([first, other], second, lambda: made.ear.live == "w1")
        first.is_open = first.is_muted = True
        tried, opened = first.opened, other.opened
        await mining([first, other], second, lambda: first.opened > tried + 2)
        assert made.ear.live == "w1"
        assert other.opened == opened
        first.is_muted = False
        await mining([first, other], second, lambda: made.ear.live == "w0")
    numbers = heard.numbers()
    assert numbers == sorted(set(numbers))


async def test_a_flood_of_heads_and_noise_is_read_to_its_end() -> None:
    place, second = Place(), Second()
    async with feed(second, place, silence_seconds=5) as (_, heard):
        await eventually(lambda: place.lines)
        (line,) = place.lines
        await eventually(lambda: heard.numbers() == [100])
        for number in range(101, 5_101):
            line.tell(number)
            line.tell(number)
            line.put({"method": "eth_subscription", "params": {"subscription": "0xdead", "result": {}}})
        await eventually(lambda: heard.numbers()[-1] == 5_100)
    assert heard.numbers() == list(range(100, 5_101))


async def test_a_watch_that_changes_again_and_again_is_asked_for_once_more_and_not_each_time() -> None:
    place, second = Place(), Second()
    async with feed(second, place) as (made, _):
        await eventually(lambda: made.ear.hinting is not None)
        before, watch = place.subscribed, Watch()
        for number in range(100):
            watch = Watch(frozenset({USDC}), frozenset(map(wallet, range(number + 1))))
            made.watch(watch)
            await asyncio.sleep(0)
        await eventually(lambda: made.ear.hinting == watch)
        assert place.subscribed - before == 2  # sender and recipient
