"""From our clients to the venue without a socket: the product's own session, dialling over wires."""

from __future__ import annotations

import asyncio
import ssl
from contextvars import copy_context
from functools import cache
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from indexer.clients.exchange.dialects.dialect import Dialect
from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.clients.exchange.dialects.told import Exchange
from indexer.clients.exchange.pool import Venues
from indexer.demo.venue import Venue
from tests.sim.accounts import wall
from tests.sim.clock import play
from tests.sim.wires import Wire

MARKETS = 3
_TLS = ssl.create_default_context()
"""Once for all: it takes 20 ms, and nothing is encrypted here."""


class WiredConnector(aiohttp.BaseConnector):
    """Every host is the venue."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(limit=200, limit_per_host=50, keepalive_timeout=60)
        self._venue = venue
        self.wires: list[Wire] = []

    async def _create_connection(self, *_: Any) -> ResponseHandler:
        await asyncio.sleep(0.001)
        protocol: ResponseHandler = self._factory()
        wire = Wire()
        wire.connect(protocol, copy_context(), self._venue.protocol(), copy_context())
        self.wires = [*(each for each in self.wires if each.is_open), wire]
        return protocol


class WiredVenues(Venues):
    """What the accounts of a story share."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(tls=_TLS)
        self.connector = WiredConnector(venue)

    async def with_markets(self, exchange: Exchange, dialect: Dialect, base_url: str, **_: Any) -> None:  # noqa: ARG002 - one venue
        """Loaded once for all stories: another thread has no virtual time."""
        exchange.set_markets_from_exchange(markets_of(dialect.exchange))

    def hang_up(self) -> None:
        for wire in self.connector.wires:
            wire.abort()

    def _shared_session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(connector=self.connector)
        return self._session

    def _socket_session(self) -> aiohttp.ClientSession:
        """One connector is enough here: nothing in it waits for another one's connection."""
        return self._shared_session()


def url(exchange: str) -> str:
    return f"http://venue/{exchange}"


@cache
def markets_of(exchange: str) -> Exchange:
    """An instance that has loaded the lists; called first when no story is being told."""
    return play(_load(exchange))


async def _load(exchange: str) -> Exchange:
    with wall.virtual_time():
        async with Venue(exchange, markets=MARKETS, clock=wall.seconds, on_port=False) as venue:
            venues = WiredVenues(venue)
            loaded = venues.exchange(DIALECTS[exchange], {}, base_url=url(exchange))
            await loaded.load_markets()
            await loaded.close()
            await venues.close()
    return loaded
