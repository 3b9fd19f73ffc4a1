"""A chain's ears: heads by websocket while it talks, by asking while it does not, and which of the two it is."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, NoReturn, Protocol

import structlog

from indexer.clients.evm.endpoints.counts import Counts
from indexer.clients.evm.hearing.ear import WebsocketEar
from indexer.clients.evm.hearing.line import OpenLine, open_line
from indexer.clients.evm.hearing.newest import FAR_BELOW, Newest
from indexer.clients.evm.hearing.rumours import Rumours
from indexer.clients.evm.hearing.socket import Ours
from indexer.clients.evm.hearing.spare import SpareEar
from indexer.clients.evm.hearing.together import until_one_ends
from indexer.clients.evm.judging.census import Finding
from indexer.clients.evm.judging.rhythm import Expected, Rhythm
from indexer.clients.evm.transfers.hints import Hints
from indexer.domain.balances import Watch
from indexer.domain.chain import Head
from indexer.domain.following.feed import FeedEvent, HeadHeard, HeadsBack, HeadsLost, HeadSource
from indexer.errors import IndexerError, WrongChain

log = structlog.get_logger(__name__)

_GRACE_SECONDS: Final = 0.25
"""A block that others know may just be on its way to us."""
_ANSWER_SECONDS: Final = 1.0
"""Nobody answers for longer than this, and it is told that heads are lost; the question goes on."""
_ASKED_TO_WAIT_SECONDS: Final = 2.5
"""For longer than this, where a provider answers that it may not be asked for some time."""
_POLL_INSTEAD_SECONDS: Final = 0.5
"""While a websocket should tell heads and does not, or nobody does, the next one is heard within that time."""
_CHECK_SECONDS: Final = 30.0
"""A websocket that talks may still be behind everybody else: now and then, another source is asked all the same."""
_SPLIT_SECONDS: Final = 1.0
_FORGOTTEN_SECONDS: Final = 10.0
"""Without a newer one for so long, a head far above all that was followed is not waited for."""
_LOOK_SECONDS: Final = 1.0
"""What is usual, and whom there is to ask, changes meanwhile."""


class Asked(Protocol):
    """Who is asked when the websocket is silent."""

    @property
    def ours(self) -> Ours: ...

    @property
    def counts(self) -> Counts: ...

    @property
    def has_others(self) -> bool: ...

    @property
    def outage(self) -> str | None: ...

    @property
    def is_asked_to_wait(self) -> bool: ...

    @property
    def followed(self) -> int: ...

    async def newest(self) -> Head: ...

    async def highest(self, known: Head | None, expected: Expected, *, is_still: bool) -> Finding: ...


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
        self._newest = Newest()
        self.ear = WebsocketEar(
            ws_urls,
            chain=chain,
            hints=hints,
            counts=node.counts,
            ours=lambda: node.ours,
            newest=self._newest,
            hear=lambda head: self._hear(head, "ws"),
            opened=opened,
            clock=clock,
            chance=chance,
        )
        self.spare = SpareEar(self.ear, rumour=self._rumoured, opened=opened, chance=chance)
        self._node = node
        self._log = log.bind(chain=chain)
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._rhythm = Rhythm(silence_seconds)
        self._on_event: Callable[[FeedEvent], None] = lambda _: None
        self._lost: HeadsLost | None = None
        self._passed_over: tuple[str, float] | None = None
        """A socket on trial, and since when there is a head that it should have told."""
        self._told: Head | None = None
        """The newest one that the websocket told by itself."""
        self._sign_of_life = self._asked_at = self._heard_at = self._compared_at = clock()
        self._is_split = False
        self._rumours = Rumours()

    def watch(self, watch: Watch) -> None:
        """From now on, log hints are for these wallets and tokens; heads go on meanwhile."""
        self.ear.watch(watch)

    async def run(self, on_event: Callable[[FeedEvent], None]) -> None:
        """Until cancelled; a node's failure never ends it."""
        self._on_event = on_event
        ears = [self.ear.listen()] if self.ear.sockets else []
        spare = [self.spare.listen()] if len(self.ear.sockets) > 1 else []
        await until_one_ends(self._oversee(), *ears, *spare)

    # --- asking ---------------------------------------------------------------------------------------------------

    async def _oversee(self) -> NoReturn:
        """Ask when the websocket is silent for too long, and all the time when there is none."""
        while True:
            if self.ear.live and (wait := self._due() - self._clock()) > 0:
                await self._pause(min(wait, _LOOK_SECONDS))
                continue
            await self._ask()
            self._asked_at = self._clock()
            if not self.ear.live:
                await self._pause(self._poll_seconds or self._patience())

    def _due(self) -> float:
        """When to ask, though a websocket is live."""
        return min(
            max(self._sign_of_life, self._asked_at) + self._rhythm.doubt_seconds,
            self._asked_at + max(_CHECK_SECONDS, self._rhythm.silence_seconds),
            self._asked_at + _SPLIT_SECONDS if self._is_split else math.inf,
            self._asked_at + _POLL_INSTEAD_SECONDS if self._lost is not None else math.inf,
            self._overdue_at(),
            self._rumours.due_at,
        )

    def _overdue_at(self) -> float:
        """Once for each head, and only where there is somebody else who may know it."""
        usual = self._rhythm.overdue_seconds
        if usual is None or not self._node.has_others:
            return math.inf
        at = self._heard_at + usual
        return at if self._asked_at < at else math.inf

    def _patience(self) -> float:
        """Until heads are asked for again, where none are told."""
        is_urgent = self._lost is not None or bool(self.ear.sockets)
        longest = _POLL_INSTEAD_SECONDS if is_urgent else _SPLIT_SECONDS if self._is_split else math.inf
        return min(self._rhythm.poll_seconds, longest)

    async def _ask(self) -> None:
        """Ask another source; that nobody answers is told before the question has ended."""
        began = self._clock()
        question = asyncio.ensure_future(self._found(began))
        try:
            overdue = self._sign_of_life + self._rhythm.silence_seconds - began
            done, _ = await asyncio.wait((question,), timeout=max(_ANSWER_SECONDS, overdue))
            if not done and self._node.is_asked_to_wait:
                left = began + _ASKED_TO_WAIT_SECONDS - self._clock()
                done, _ = await asyncio.wait((question,), timeout=max(0.0, left))
            if not done:
                self._unanswered(began, self._node.outage or "nobody answers")
            finding = await question
        except IndexerError as error:
            self._unanswered(began, str(error), is_wrong_chain=isinstance(error, WrongChain))
        else:
            self._is_split = finding.is_split
            await self._asked(finding.head, is_awaited=self._is_awaited(began))
        finally:
            question.cancel()
        if self._rumours.due_at <= began:
            self._rumours.asked(self._newest.head, self._clock())

    async def _found(self, now: float) -> Finding:
        """The preferred one alone while heads are polled and come; everybody when in doubt, and now and then."""
        quiet, compared = now - self._heard_at, now - self._compared_at
        is_still = quiet >= self._rhythm.doubt_seconds
        is_due = compared >= max(_CHECK_SECONDS, self._rhythm.silence_seconds)
        is_quiet = (is_still and compared >= self._rhythm.again_seconds) or self._overdue_at() <= now
        if not (self.ear.live or is_due or is_quiet or self._is_split or self._rumours.due_at <= now):
            return Finding(await self._node.newest())
        self._compared_at = now
        return await self._node.highest(self._newest.head, self._rhythm.expected, is_still=is_still)

    def _is_awaited(self, began: float) -> bool:
        """Whether a head is to be told at once, and not left to a websocket that is well."""
        return self._rumours.due_at <= began or self._is_split or self._overdue_at() <= began

    def _unanswered(self, began: float, reason: str, *, is_wrong_chain: bool = False) -> None:
        """What the websocket tells meanwhile is as good an answer."""
        if self._sign_of_life <= began:
            self._lose(HeadsLost(reason, is_wrong_chain))

    async def _asked(self, head: Head, *, is_awaited: bool) -> None:
        if self.ear.live:
            await self._compare(head, is_awaited=is_awaited)
        elif self.ear.on_trial is not None and self._newest.is_behind(head):
            self._pass_over(self.ear.on_trial)
        if self.ear.live:
            return
        if self._is_far_below(head):
            self._lose(HeadsLost(f"the newest block is {head.number}, far below what was heard before: the node syncs"))
            return
        self._sign_of_life = self._clock()
        self._hear(head, "poll")

    def _is_far_below(self, head: Head) -> bool:
        """Unless what it is held against was heard long ago, and is nothing that anybody could be asked about since."""
        is_old = self._clock() - self._heard_at > _FORGOTTEN_SECONDS
        is_followed = head.number < self._node.followed - FAR_BELOW
        return self._newest.is_far_below(head) and (is_followed or not is_old)

    async def _compare(self, head: Head, *, is_awaited: bool) -> None:
        """The websocket is ill when it said nothing for long and others know more, or is that far behind them."""
        is_silent = self._clock() - self._sign_of_life >= self._rhythm.doubt_seconds
        if is_silent and not is_awaited and self._newest.is_behind(head):
            await asyncio.sleep(_GRACE_SECONDS)
        if not self.ear.live:
            return
        behind = head.number - self._told.number if self._told is not None else 0
        if is_silent and (behind > 0 or self._newest.is_behind(head)):
            self.ear.call_ill("silent, while others know newer blocks")
        elif behind >= self._rhythm.behind_blocks:
            self.ear.call_ill(f"{behind} blocks behind what others know")
        elif is_awaited and self._newest.is_behind(head):
            self._hear(head, "poll")
        else:
            self._back("ws")

    def _pass_over(self, name: str) -> None:
        """The socket on trial did not tell this head: its subscription is as dead as the last one."""
        now = self._clock()
        if self._passed_over is None or self._passed_over[0] != name:
            self._passed_over = (name, now)
        elif now - self._passed_over[1] > self._rhythm.silence_seconds:
            self._passed_over = None
            self.ear.call_ill("still silent, while others know newer blocks")

    async def _pause(self, seconds: float) -> None:
        """Shorter when the websocket comes or goes."""
        self.ear.changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ear.changed.wait()

    # --- telling --------------------------------------------------------------------------------------------------

    def _hear(self, head: Head, source: HeadSource) -> None:
        now = self._clock()
        if source == "ws":
            self._sign_of_life, self._told = now, head
        self._back(source)
        newest = self._newest.head
        if newest is not None and head.hash == newest.hash:
            return
        if self._newest.hear(head):
            self._heard_at = now
        if self._newest.is_borne_out:
            self._rhythm.heard(head, now)
        self._rumours.heard(head, now)
        self._on_event(HeadHeard(head, source))

    def _rumoured(self, head: Head) -> None:
        """The spare websocket told it: everybody is asked unless it is heard of in a moment."""
        if self._rumours.told(head, self._newest.head, self._clock()):
            self.ear.changed.set()

    def _lose(self, lost: HeadsLost) -> None:
        if self._lost is None:
            self._log.warning("heads_lost", reason=lost.reason)
        if self._lost is None or (lost.is_wrong_chain and not self._lost.is_wrong_chain):
            self._on_event(lost)
        self._lost = lost

    def _back(self, source: HeadSource) -> None:
        if self._lost is not None:
            self._lost = None
            self._log.info("heads_back", source=source)
            self._on_event(HeadsBack(source))
