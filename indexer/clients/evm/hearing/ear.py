"""The ear at a chain's websockets: which one is listened to, and whether it can be relied on.

A socket that was found silent is on trial when it is open again: it is live once it has told a head by itself, and
heads are asked for until then. Answers and pings are no sign of life.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

import structlog

from indexer.clients.evm.asking.answers import head_of
from indexer.clients.evm.asking.names import endpoint_names
from indexer.clients.evm.endpoints.counts import Counts
from indexer.clients.evm.hearing.line import OpenLine
from indexer.clients.evm.hearing.newest import Newest
from indexer.clients.evm.hearing.outages import SocketOutage
from indexer.clients.evm.hearing.socket import NodeSocket, Ours, is_end_of_line
from indexer.clients.evm.hearing.together import until_one_ends
from indexer.clients.evm.hearing.trial import tells_heads
from indexer.clients.evm.transfers.hints import Hints
from indexer.clients.evm.transfers.logs import Filters
from indexer.domain.balances import Watch
from indexer.domain.chain import BlockHash, Head, Holding
from indexer.errors import IndexerError, NodeUnreachable

log = structlog.get_logger(__name__)

_FILTER_MOST: Final = 1_000
"""geth takes so many addresses, or topics, in one filter."""
_HINTS_SECONDS: Final = 0.25
"""How soon hints are asked for once more: with 1,000 wallets, a filter is 140 KB for us to send and a node to read."""
_SHORTEST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 10.0
_BETTER_SECONDS: Final = 30.0
"""How often a websocket that is preferred to the one in use is tried, and how long it may take to tell a head."""


class WebsocketEar:
    """Listens at the first websocket that can be opened; `hear` is told each head."""

    def __init__(
        self,
        ws_urls: Sequence[str],
        *,
        chain: str,
        hints: Hints,
        counts: Counts,
        ours: Callable[[], Ours],
        newest: Newest,
        hear: Callable[[Head], None],
        opened: OpenLine,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.sockets = tuple(zip(ws_urls, endpoint_names(ws_urls), strict=True))
        self.live: str | None = None
        """The socket that delivers heads, while one does."""
        self.on_trial: str | None = None
        """An open socket that has yet to do so."""
        self.changed = asyncio.Event()
        self.at: str | None = None
        """The socket that is being opened, or is open; `moved` when it is another one than before."""
        self.moved = asyncio.Event()
        self.hinting: Watch | None = None
        """The watch that the node was last asked to send logs for."""
        self._log = log.bind(chain=chain)
        self._hints = hints
        self._counts = counts
        self._ours = ours
        self._newest = newest
        self._hear = hear
        self._opened = opened
        self._clock = clock
        self._chance = chance
        self._watch = Watch()
        self._made: Filters | None = None
        self._watch_changed = asyncio.Event()
        self._ever_live = False
        self._loss_told = False
        self._outages = {name: SocketOutage() for _, name in self.sockets}
        self._ill = asyncio.Event()
        self._illness = ""
        self._distrusted = False

    @property
    def ours(self) -> Ours:
        """What every socket has to show, once that is known."""
        return self._ours()

    @property
    def newest(self) -> Head | None:
        """The newest head that was heard of, from whomever."""
        return self._newest.head

    def watch(self, watch: Watch) -> None:
        """From now on, log hints are for these wallets and tokens; heads go on meanwhile."""
        self._watch = watch
        self._made = None
        self._watch_changed.set()

    @property
    def _filters(self) -> Filters:
        """Made when they are needed: a watch may change many times before that."""
        if self._made is None:
            self._made = Filters(self._watch)
        return self._made

    def call_ill(self, illness: str) -> None:
        """Leave this socket; the next one is on trial."""
        self.live = self.on_trial = None
        self._illness, self._distrusted = illness, True
        self._ill.set()

    async def listen(self) -> NoReturn:
        """Until cancelled; a node's failure never ends it."""
        failures = 0
        while True:
            for index, (url, name) in enumerate(self.sockets):
                reason: IndexerError | None = None
                try:
                    await self._converse(url, name, index)
                except IndexerError as error:
                    reason = error
                if self._outages[name].closed(self._clock(), silent=self._distrusted):
                    failures = 0
                self.live = self.on_trial = None
                self.changed.set()
                if reason is None:
                    break
                if self._outages[name].lost():
                    self._loss_told = True
                    self._log.warning("socket_lost", endpoint=name, reason=str(reason))
            else:
                pause = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2.0 ** min(failures, 10)) * (0.5 + self._chance() / 2)
                failures += 1
                await asyncio.sleep(pause)

    async def _converse(self, url: str, name: str, index: int) -> None:
        """Until it fails; it also ends when one that is preferred to it is of use again."""
        self._ill.clear()
        if self.at != name:
            self.at = name
            self.moved.set()
        async with NodeSocket(url, on_head=self._on_head, on_log=self._on_log, opened=self._opened) as socket:
            parts = [socket.read(), self._conduct(socket, name), self._falls_ill()]
            await until_one_ends(*parts, *([self._better_is_back(index)] if index else []))

    async def _conduct(self, socket: NodeSocket, name: str) -> NoReturn:
        """Subscribe, say where the chain stands now, and follow changes of the watch."""
        await socket.prove(self.ours)
        await socket.subscribe_heads()
        head = await socket.newest()
        if self._distrusted:
            self.on_trial = name
        else:
            newest = self.newest
            if newest is None or head.number >= newest.number:
                self._hear(head)
            self._went_live(name)
        while True:
            self._watch_changed.clear()
            watch = self._watch
            try:
                await socket.subscribe_logs(self._filters.parts(_FILTER_MOST))
                self.hinting = watch
            except IndexerError as error:
                if is_end_of_line(error):
                    raise
                # Whatever the refusal means elsewhere: hints only save a round trip, and heads do not wait for them.
                if not self._outages[name].refused:
                    self._outages[name].refused = True
                    self._log.warning("log_hints_refused", endpoint=name, reason=str(error))
            await asyncio.sleep(_HINTS_SECONDS)
            await self._watch_changed.wait()

    async def _falls_ill(self) -> NoReturn:
        await self._ill.wait()
        raise NodeUnreachable(self._illness)

    async def _better_is_back(self, index: int) -> None:
        while True:
            await asyncio.sleep(_BETTER_SECONDS * (0.5 + self._chance() / 2))
            for url, _ in self.sockets[:index]:
                with contextlib.suppress(IndexerError, TimeoutError):
                    async with asyncio.timeout(_BETTER_SECONDS):
                        await tells_heads(url, self._opened, self.ours, self._is_near)
                    return

    def _went_live(self, name: str) -> None:
        if self._ever_live:
            self._counts.reconnected()
        is_back = self._outages[name].opened(self._clock())
        if is_back or self._loss_told or not self._ever_live:
            self._log.info("socket_open", endpoint=name)
        self.live, self._ever_live, self._loss_told = name, True, False
        self.on_trial, self._distrusted = None, False
        self.changed.set()

    def _on_head(self, header: Any) -> None:
        head = head_of(header)
        if self._newest.is_far_below(head):
            self.call_ill(f"its newest block is {head.number}, far below what was heard before: the node syncs")
            return
        if self.on_trial is not None:
            if not self._is_near(head.number):
                return
            self._went_live(self.on_trial)
        elif self.live is not None:
            self._outages[self.live].told_head(self._clock())
        self._hear(head)

    def _on_log(self, found: Any) -> None:
        if not isinstance(found, dict) or found.get("removed"):
            return
        ours = self._filters.wallets(found)
        if ours is None:
            return
        self._counts.hints += 1
        token, wallets = ours
        block = BlockHash(str(found.get("blockHash")).lower())
        for wallet in wallets:
            self._hints.note(block, Holding(token, wallet))
        self._hints.keep(block, found)

    def _is_near(self, number: int) -> bool:
        newest = self.newest
        return newest is None or number >= newest.number - 1
