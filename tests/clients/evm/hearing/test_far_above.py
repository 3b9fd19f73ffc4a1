"""One head far above all others, as of another chain behind the same address: nobody waits for that block to come."""

from __future__ import annotations

import asyncio
from typing import Self

from indexer.clients.evm.hearing.heads import HeadFeed
from indexer.clients.evm.transfers.hints import Hints
from indexer.domain.following.feed import FeedEvent, HeadHeard, HeadsBack, HeadsLost
from tests.clients.evm.lines import Place, Second, opening
from tests.sim.clock import play

HEIGHT = 1_000
FAR_ABOVE = 1_000_000


class Story:
    """A chain that mines every second, on the websockets that there are and where heads are asked for."""

    def __init__(self, *places: Place) -> None:
        self.places = places
        self.second = Second(HEIGHT)
        self.said: list[FeedEvent] = []

    async def __aenter__(self) -> Self:
        urls = {f"ws://w{index}": place for index, place in enumerate(self.places)}
        clock = asyncio.get_running_loop().time
        feed = HeadFeed(
            list(urls), self.second, chain="test", hints=Hints(), opened=opening(urls), clock=clock, chance=lambda: 0.5
        )
        self._tasks = [asyncio.create_task(self._mine()), asyncio.create_task(feed.run(self.said.append))]
        await asyncio.sleep(5.5)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _mine(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.second.height += 1
            for place in self.places:
                place.mine()

    @property
    def heard(self) -> list[int]:
        return [event.head.number for event in self.said if isinstance(event, HeadHeard)]

    @property
    def is_lost(self) -> bool:
        words = [event for event in self.said if isinstance(event, HeadsLost | HeadsBack)]
        return bool(words) and isinstance(words[-1], HeadsLost)


def test_after_a_websocket_told_one_it_goes_on_telling_the_blocks_that_there_are() -> None:
    async def story() -> None:
        async with Story(Place(HEIGHT)) as story:
            (line,) = story.places[0].lines
            line.tell(FAR_ABOVE)
            await asyncio.sleep(10)
            assert FAR_ABOVE in story.heard
            assert story.heard[-8:] == list(range(story.second.height - 7, story.second.height + 1))
            assert not story.is_lost
            assert story.places[0].opened == 1

    play(story())


def test_a_websocket_that_tells_one_and_then_nothing_is_found_silent() -> None:
    async def story() -> None:
        async with Story(Place(HEIGHT)) as story:
            (line,) = story.places[0].lines
            line.tell(FAR_ABOVE)
            story.places[0].is_muted = True
            await asyncio.sleep(6)
            assert story.second.height - 1 <= story.heard[-1] <= story.second.height
            assert not story.is_lost

    play(story())


def test_after_one_that_was_asked_told_one_the_blocks_that_there_are_are_told() -> None:
    async def story() -> None:
        async with Story() as story:
            height, story.second.height = story.second.height, FAR_ABOVE
            await asyncio.sleep(0.3)
            story.second.height = height
            await asyncio.sleep(10)
            assert FAR_ABOVE in story.heard
            assert story.heard[-8:] == list(range(story.second.height - 7, story.second.height + 1))
            assert not story.is_lost

    play(story())


def test_after_several_that_bore_each_other_out_it_takes_ten_seconds() -> None:
    """Half of the nodes behind an address may be of another chain; of theirs no block was ever followed."""

    async def story() -> None:
        async with Story() as story:
            height, story.second.height = story.second.height, FAR_ABOVE
            await asyncio.sleep(3)
            story.second.height = height
            await asyncio.sleep(5)
            assert story.is_lost
            await asyncio.sleep(15)
            assert story.heard[-8:] == list(range(story.second.height - 7, story.second.height + 1))
            assert not story.is_lost

    play(story())


def test_a_websocket_that_syncs_from_far_below_is_left_whatever_was_heard_first() -> None:
    async def story() -> None:
        async with Story(Place(HEIGHT), Place(HEIGHT)) as story:
            (line,) = story.places[0].lines
            line.tell(FAR_ABOVE)
            await asyncio.sleep(3)
            height = story.second.height
            for each in story.places[0].lines:
                each.tell(1)
            await asyncio.sleep(3)
            assert 1 not in story.heard
            assert story.heard[-1] >= height + 2

    play(story())


def test_a_chain_that_was_away_for_long_goes_on_at_its_newest_block() -> None:
    """A gap is no lie: the next block bears it out, and a node that syncs is told from then on."""

    async def story() -> None:
        async with Story() as story:
            before = story.second.height
            story.second.height += 10_000
            await asyncio.sleep(5)
            assert story.heard[-1] == story.second.height
            story.second.followed, story.second.height = story.second.height, before
            await asyncio.sleep(60)
            assert max(story.heard) == story.heard[-1]
            assert story.is_lost

    play(story())
