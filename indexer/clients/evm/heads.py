"""A chain's ears: heads by websocket while it talks, by asking while it does not, and which of the two it is."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NoReturn, Protocol

import structlog

from indexer.clients.evm.answers import head_of
from indexer.clients.evm.counts import Counts
from indexer.clients.evm.hints import Hints
from indexer.clients.evm.line import OpenLine, open_line
from indexer.clients.evm.logs import Filters
from indexer.clients.evm.names import endpoint_names
from indexer.clients.evm.rhythm import Rhythm
from indexer.clients.evm.socket import NodeSocket
from indexer.clients.evm.wording import Unsupported
from indexer.domain.balances import Watch
from indexer.domain.chain import BlockHash, Head, Holding
from indexer.domain.feed import FeedEvent, HeadHeard, HeadsBack, HeadsLost, HeadSource
from indexer.errors import BadAnswer, IndexerError, NodeUnreachable, ResponseTooLarge, Throttled

log = structlog.get_logger(__name__)

_FILTER_MOST: Final = 1_000
"""geth takes so many addresses, or topics, in one filter."""
_SHORTEST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 10.0
_CALM_SECONDS: Final = 30.0
"""A socket that was open for less than this fails as one that never opened: with longer pauses, and in silence."""
_GRACE_SECONDS: Final = 0.25
"""A block that others know may just be on its way to us."""
_FAR_BELOW: Final = 256
"""A head that much lower than the newest comes from a node that syncs, not from a reorg."""


class Asked(Protocol):
    """Who is asked when the websocket is silent."""

    @property
    def chain_id(self) -> int | None: ...

    @property
    def counts(self) -> Counts: ...

    async def newest(self) -> Head: ...


class HeadFeed:
    """Tells every new head as soon as anybody knows it, and when nobody does."""

    def __init__(
        self,
        ws_urls: Sequence[str],
        node: Asked,
        *,
        chain: str,
        hints: Hints,
        poll_seconds: float | None = None,
        silence_seconds: float = 3.0,
        opened: OpenLine = open_line,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._sockets = tuple(zip(ws_urls, endpoint_names(ws_urls), strict=True))
        self._node = node
        self._hints = hints
        self._log = log.bind(chain=chain)
        self._poll_seconds = poll_seconds
        self._opened = opened
        self._clock = clock
        self._chance = chance
        self._rhythm = Rhythm(silence_seconds)
        self._watch = Watch()
        self._filters = Filters(self._watch)
        self._hinting: Watch | None = None
        """The watch that the node was last asked to send logs for."""
        self._watch_changed = asyncio.Event()
        self._on_event: Callable[[FeedEvent], None] = lambda _: None
        self._newest: Head | None = None
        self._lost: str | None = None
        self._live: str | None = None
        """The socket that delivers heads, while one does."""
        self._live_changed = asyncio.Event()
        self._ever_live = False
        self._loss_told = False
        self._opened_at: float | None = None
        self._ill = asyncio.Event()
        self._sign_of_life = 0.0

    def watch(self, watch: Watch) -> None:
        """From now on, log hints are for these wallets and tokens; heads go on meanwhile."""
        self._watch = watch
        self._filters = Filters(watch)
        self._watch_changed.set()

    async def run(self, on_event: Callable[[FeedEvent], None]) -> None:
        """Until cancelled; a node's failure never ends it."""
        self._on_event = on_event
        await _until_one_ends(self._oversee(), *([self._listen()] if self._sockets else []))

    # --- the websocket -------------------------------------------------------------------------------------------

    async def _listen(self) -> NoReturn:
        failures = 0
        while True:
            for url, name in self._sockets:
                reason: IndexerError | None = None
                try:
                    await self._converse(url, name)
                except IndexerError as error:
                    reason = error
                if self._opened_at is not None and self._clock() - self._opened_at >= _CALM_SECONDS:
                    failures = 0
                self._live = self._opened_at = None
                self._live_changed.set()
                if not failures and not self._loss_told:
                    self._loss_told = True
                    self._log.warning("socket_lost", endpoint=name, reason=str(reason))
            pause = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2.0 ** min(failures, 10)) * (0.5 + self._chance() / 2)
            failures += 1
            await asyncio.sleep(pause)

    async def _converse(self, url: str, name: str) -> None:
        async with NodeSocket(url, on_head=self._on_head, on_log=self._on_log, opened=self._opened) as socket:
            await _until_one_ends(socket.read(), self._conduct(socket, name))

    async def _conduct(self, socket: NodeSocket, name: str) -> NoReturn:
        """Subscribe, say where the chain stands now, and follow changes of the watch."""
        expected = self._node.chain_id
        if expected is not None and (found := await socket.chain_id()) != expected:
            raise NodeUnreachable(f"the websocket follows chain {found}, not {expected}")
        self._ill.clear()
        await socket.subscribe_heads()
        head = await socket.newest()
        if self._newest is None or head.number >= self._newest.number:
            self._hear(head, "ws")
        self._went_live(name)
        while True:
            self._watch_changed.clear()
            watch = self._watch
            try:
                await socket.subscribe_logs(self._filters.parts(_FILTER_MOST))
                self._hinting = watch
            except (Unsupported, Throttled, ResponseTooLarge, BadAnswer) as error:
                # Hints only save a round trip; heads do not wait for them.
                self._log.warning("log_hints_refused", endpoint=name, reason=str(error))
            await _until_one_ends(self._watch_changed.wait(), self._ill.wait())
            if self._ill.is_set():
                raise NodeUnreachable("silent, while others know newer blocks")

    def _went_live(self, name: str) -> None:
        now = self._clock()
        if self._ever_live:
            self._node.counts.reconnected()
        if self._loss_told or not self._ever_live:
            self._log.info("socket_open", endpoint=name)
        self._live, self._ever_live, self._loss_told = name, True, False
        self._opened_at = self._sign_of_life = now
        self._live_changed.set()

    def _on_head(self, header: Any) -> None:
        self._hear(head_of(header), "ws")

    def _on_log(self, found: Any) -> None:
        if not isinstance(found, dict) or found.get("removed"):
            return
        ours = self._filters.wallets(found)
        if ours is None:
            return
        self._node.counts.hints += 1
        token, wallets = ours
        for wallet in wallets:
            self._hints.note(BlockHash(str(found.get("blockHash"))), Holding(token, wallet))

    # --- asking ---------------------------------------------------------------------------------------------------

    async def _oversee(self) -> NoReturn:
        """Ask when the websocket is silent for too long, and all the time when there is none."""
        while True:
            if self._live:
                quiet = self._clock() - self._sign_of_life
                if quiet < self._rhythm.silence_seconds:
                    await self._pause(self._rhythm.silence_seconds - quiet)
                    continue
            try:
                head = await self._node.newest()
            except IndexerError as error:
                self._lose(str(error))
            else:
                await self._asked(head)
            self._sign_of_life = self._clock()
            if not self._live:
                await self._pause(self._poll_seconds or self._rhythm.poll_seconds)

    async def _asked(self, head: Head) -> None:
        if self._live and self._is_news(head):
            await asyncio.sleep(_GRACE_SECONDS)
        if self._live:
            if not self._is_news(head):
                self._back("ws")
                return
            self._live = None
            self._ill.set()
        newest = self._newest
        if newest is not None and head.number < newest.number - _FAR_BELOW:
            self._lose(f"the newest block is {head.number}, far below {newest.number}: the node syncs")
            return
        self._hear(head, "poll")

    def _is_news(self, head: Head) -> bool:
        """Whether it proves that somebody is ahead of all that we heard."""
        newest = self._newest
        return (
            newest is None or head.number > newest.number or (head.number == newest.number and head.hash != newest.hash)
        )

    async def _pause(self, seconds: float) -> None:
        """Shorter when the websocket comes or goes."""
        self._live_changed.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._live_changed.wait(), seconds)

    # --- telling --------------------------------------------------------------------------------------------------

    def _hear(self, head: Head, source: HeadSource) -> None:
        now = self._clock()
        if source == "ws":
            self._sign_of_life = now
        self._back(source)
        if self._newest is not None and head.hash == self._newest.hash:
            return
        self._rhythm.heard(head.number, now)
        self._newest = head
        self._on_event(HeadHeard(head, source))

    def _lose(self, reason: str) -> None:
        if self._lost is None:
            self._log.warning("heads_lost", reason=reason)
            self._on_event(HeadsLost(reason))
        self._lost = reason

    def _back(self, source: HeadSource) -> None:
        if self._lost is not None:
            self._lost = None
            self._log.info("heads_back", source=source)
            self._on_event(HeadsBack(source))


async def _until_one_ends(*parts: Coroutine[Any, Any, Any]) -> None:
    """Run them side by side until the first returns or fails; then all have ended, and its failure is raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
