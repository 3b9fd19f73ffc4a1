"""One account, a stream for each of its wallets: each is lost and opened by itself."""

from __future__ import annotations

import asyncio

from indexer.domain.accounts.arrivals import StreamLost
from indexer.domain.health.status import AccountStatus
from tests.actors.accounts.fakes import FakeVenue, Stage
from tests.sim.clock import play


def _account(stage: Stage) -> AccountStatus:
    assert stage.status.account is not None
    return stage.status.account


def test_a_wallet_whose_stream_stays_open_is_not_polled_because_another_lost_its_own() -> None:
    async def story() -> None:
        venue = FakeVenue(wallets=("spot", "futures"), BTC="1")
        async with Stage(venue) as stage:
            await asyncio.sleep(40)
            venue.say(StreamLost("no permission", frozenset({"spot"})))
            await asyncio.sleep(100)
            before = {wallet: venue.asked.count(wallet) for wallet in venue.wallets}
            await asyncio.sleep(50)
            reads = {wallet: venue.asked.count(wallet) - before[wallet] for wallet in venue.wallets}
            assert reads["spot"] <= 1
            assert reads["futures"] >= 9
            assert (stage.status.heads, _account(stage).streamed) == ("ws", ("spot",))

    play(story())


def test_a_lost_stream_leaves_what_another_one_tells_as_fresh_as_it_is() -> None:
    async def story() -> None:
        venue = FakeVenue(wallets=("spot", "futures"), BTC="1")
        async with Stage(venue) as stage:
            await asyncio.sleep(40)
            venue.turn = 60
            venue.say(StreamLost("the socket closed", frozenset({"spot"})))
            await asyncio.sleep(5)
            assert _account(stage).stale == ("futures",)

    play(story())
