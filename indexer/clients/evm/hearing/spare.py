"""A second websocket, kept open beside the one that is listened to: it is told of heads only, and only tells rumours.

Whatever it is that hangs or stands still, the first word of a missed head comes from here. Nobody is called ill for
it: the endpoints are asked, and what they say is followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NoReturn

import structlog

from indexer.clients.evm.asking.answers import head_of
from indexer.clients.evm.endpoints.counts import ignored
from indexer.clients.evm.hearing.ear import WebsocketEar
from indexer.clients.evm.hearing.line import OpenLine
from indexer.clients.evm.hearing.socket import NodeSocket
from indexer.clients.evm.hearing.together import until_one_ends
from indexer.domain.chain import Head
from indexer.errors import IndexerError, NodeUnreachable

log = structlog.get_logger(__name__)

_SHORTEST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_CHECK_SECONDS: Final = 30.0
_MISSED_BLOCKS: Final = 3


class SpareEar:
    """Listens at the first websocket that the ear does not use; `rumour` is told each head."""

    def __init__(
        self, ear: WebsocketEar, *, rumour: Callable[[Head], None], opened: OpenLine, chance: Callable[[], float]
    ) -> None:
        self.name: str | None = None
        """The socket that is open."""
        self._ear = ear
        self._rumour = rumour
        self._opened = opened
        self._chance = chance
        self._told: Head | None = None

    async def listen(self) -> NoReturn:
        """Until cancelled; where one cannot be opened, the next one is tried."""
        failures = 0
        while True:
            self._ear.moved.clear()
            others = [socket for socket in self._ear.sockets if socket[1] != self._ear.at]
            url, name = others[failures % len(others)]
            try:
                await until_one_ends(self._hear(url, name), self._ear.moved.wait())
            except IndexerError as error:
                log.debug("spare_socket_lost", endpoint=name, reason=str(error))
                failures = failures + 1 if self.name is None else 1
                pause = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2.0 ** min(failures - 1, 10))
                await asyncio.sleep(pause * (0.5 + self._chance() / 2))
            finally:
                self.name = None

    async def _hear(self, url: str, name: str) -> None:
        async with NodeSocket(url, on_head=self._on_head, on_log=ignored, opened=self._opened) as socket:
            await until_one_ends(socket.read(), self._subscribed(socket, name))

    async def _subscribed(self, socket: NodeSocket, name: str) -> NoReturn:
        await socket.prove(self._ear.ours)
        await socket.subscribe_heads()
        self.name, self._told = name, None
        while True:
            before = self._told
            await asyncio.sleep(_CHECK_SECONDS)
            newest = self._ear.newest
            told = 0 if self._told is None else self._told.number
            if self._told is before and newest is not None and newest.number > told + _MISSED_BLOCKS:
                raise NodeUnreachable("silent, while others know newer blocks")

    def _on_head(self, header: Any) -> None:
        self._told = head_of(header)
        self._rumour(self._told)
