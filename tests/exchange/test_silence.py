"""How soon a stream that is gone is noticed, whenever it goes, and what it takes to know that a quiet one is not."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.pinging import ping
from indexer.clients.exchange.pool import PING_SECONDS
from indexer.demo.venue import Venue
from indexer.domain.accounts.arrivals import Arrival, StreamAlive, StreamLost
from indexer.domain.beat import BEAT_SECONDS
from tests.exchange.test_listening import EXCHANGES, STREAMED, listening, until
from tests.sim.accounts import wall
from tests.sim.accounts.lines import MARKETS, WiredVenues, markets_of, url
from tests.sim.clock import play


@asynccontextmanager
async def quiet(exchange: str, *, streams: int = 1) -> AsyncIterator[tuple[Venue, list[list[Arrival]]]]:
    """Streams of as many accounts of a venue that says nothing, in virtual time, opened one after the other."""
    wallet = next(wallet for name, wallet in STREAMED if name == exchange)
    with wall.virtual_time():
        async with Venue(exchange, seed=1, markets=MARKETS, clock=wall.seconds, on_port=False) as venue:
            venues = WiredVenues(venue)
            async with AsyncExitStack() as stack:
                heard = []
                for number in range(streams):
                    account = venue.account(exchange, f"desk-{number}")
                    connection = ExchangeAccount(
                        DIALECTS[exchange], venues, account.credentials, (wallet,), base_url=url(exchange), now=wall.now
                    )
                    stack.push_async_callback(connection.close)
                    heard.append(await stack.enter_async_context(listening(connection)))
                    await asyncio.sleep(0.07)
                yield venue, heard
            await venues.close()


async def _seconds_until_lost(exchange: str, *, pings: bool, after: float) -> float:
    async with quiet(exchange) as (venue, (heard,)):
        await asyncio.sleep(20 + after)
        began = asyncio.get_running_loop().time()
        venue.sockets.mute(pings=pings)
        await until(lambda: any(isinstance(one, StreamLost) for one in heard))
        return asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("pings", [False, True])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_stream_that_is_gone_is_noticed_within_ten_seconds_whenever_it_goes(exchange: str, *, pings: bool) -> None:
    markets_of(exchange)
    found = [play(_seconds_until_lost(exchange, pings=pings, after=part * 0.4)) for part in range(15)]
    assert max(found) < 10


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_quiet_stream_is_told_to_be_alive_every_second_ping(exchange: str) -> None:
    async def story() -> int:
        async with quiet(exchange) as (_, (heard,)):
            heard.clear()
            await asyncio.sleep(60 * PING_SECONDS)
            assert {type(one) for one in heard} == {StreamAlive}
            return len(heard)

    markets_of(exchange)
    assert 29 <= play(story()) <= 61


def test_streams_ping_every_three_seconds_and_many_of_them_at_the_same_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """By themselves 30 would do so at 30 moments of the three seconds."""
    pinged, send = dict[int, list[float]](), aiohttp.ClientWebSocketResponse.ping

    async def counted(socket: aiohttp.ClientWebSocketResponse, message: bytes = b"") -> None:
        pinged.setdefault(id(socket), []).append(asyncio.get_running_loop().time())
        await send(socket, message)

    async def story() -> None:
        async with quiet("binance", streams=30):
            await asyncio.sleep(30)

    monkeypatch.setattr(aiohttp.ClientWebSocketResponse, "ping", counted)
    markets_of("binance")
    play(story())
    assert len(pinged) == 30
    for moments in pinged.values():
        pauses = [after - before for before, after in itertools.pairwise(moments)]
        assert pauses == pytest.approx([PING_SECONDS] * len(pauses), abs=0.01)
        assert [moment % BEAT_SECONDS for moment in moments] == pytest.approx([0] * len(moments), abs=0.01)


class _Client(SimpleNamespace):
    """Of ccxt's, what pinging knows of it."""

    def __init__(self, **more: Any) -> None:
        self.sent: list[float] = []
        self.errors: list[Exception] = []
        super().__init__(keepAlive=3000, maxPingPongMisses=2.0, lastPong=None, ping=lambda _: "ping", **more)

    def closed(self) -> bool:
        return bool(self.errors)

    def on_error(self, error: Exception) -> None:
        self.errors.append(error)

    async def send(self, _: object) -> None:
        self.sent.append(asyncio.get_running_loop().time())


class _Answering(_Client):
    async def send(self, message: object) -> None:
        await super().send(message)
        self.lastPong = self.sent[-1]


class _Closing(_Client):
    async def send(self, _: object) -> None:
        raise ConnectionResetError("cannot write to closing transport")


def test_two_pings_without_an_answer_are_an_error() -> None:
    client = _Client()
    play(ping(client))
    assert len(client.sent) == 2
    assert len(client.errors) == 1


def test_pings_go_on_while_they_are_answered() -> None:
    async def story(client: _Client) -> None:
        task = asyncio.create_task(ping(client))
        await asyncio.sleep(31)
        task.cancel()

    client = _Answering()
    play(story(client))
    assert len(client.sent) == 10
    assert not client.errors


def test_a_ping_that_cannot_be_sent_is_an_error() -> None:
    client = _Closing()
    play(ping(client))
    assert [type(error) for error in client.errors] == [ConnectionResetError]
