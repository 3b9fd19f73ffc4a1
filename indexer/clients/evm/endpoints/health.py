"""How well the endpoints of a chain are: who is lost, who is set aside, and when they are of use again.

A circuit breaker for each: an endpoint that failed is asked by nobody but one probe at a time, so that no caller ever
waits for one that may still be dead. One that answers, but contradicts what we know, is set aside: asked only when the
others cannot help, which is why a single endpoint is still followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from indexer.clients.evm.asking.courier import NoAnswer
from indexer.clients.evm.asking.provenance import OtherBlock
from indexer.clients.evm.endpoints.attempts import STUMBLES
from indexer.clients.evm.endpoints.counts import Counts, Health
from indexer.clients.evm.endpoints.endpoint import Endpoint
from indexer.domain.chain import BlockHash
from indexer.domain.seldom import Seldom
from indexer.errors import BadAnswer, BlockUnknown, IndexerError, NodeUnreachable, Throttled

log = structlog.get_logger(__name__)

_SHORTEST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0
_LONGEST_ASIDE: Final = 20.0
"""One that lags is of little use: it is asked less often. Both are back within a minute."""
_CALM_SECONDS: Final = 30.0
"""Lost again sooner than this, it is the same outage: it goes on backing off, and says nothing new."""
_BAD_ANSWERS: Final = 3
"""One may be an accident of one question; several in a row are an illness."""
_STRIKES: Final = 3
_NEAR: Final = 1
"""An endpoint that is so many blocks behind what we followed is as good as up to date.

Not more: between two heads, one that is three behind for good seems to be two behind.
"""


class Wellness:
    """The circuit breakers of one chain's endpoints."""

    def __init__(
        self,
        *,
        chain: str,
        counts: Counts,
        is_alone: Callable[[Endpoint], bool],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        chance: Callable[[], float],
    ) -> None:
        self.chain_id: int | None = None
        self.followed = 0
        """The highest block that an endpoint answered questions about."""
        self._back: asyncio.Future[None] | None = None
        self.revivals: dict[str, asyncio.Task[None]] = {}
        self._log = log.bind(chain=chain)
        self._counts = counts
        self._is_alone = is_alone
        """Whether nobody else can be asked instead."""
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._dispute: tuple[BlockHash, float] | None = None
        self._other_blocks = Seldom()
        self._left_out = Seldom()

    def judge(self, endpoint: Endpoint, error: IndexerError) -> None:
        """What a failed question says of the endpoint: less, where nobody else can be asked."""
        if isinstance(error, OtherBlock):
            self._counts.other_block(endpoint.name)
            self._tell_other_block(endpoint, error)
        endpoint.in_a_row += 1
        if endpoint.in_a_row >= _borne(error, is_alone=self._is_alone(endpoint)):
            self.lose(endpoint, error)
        elif not isinstance(error, BadAnswer):
            # Another node may answer next time.
            endpoint.is_proven = False

    def answered(self, endpoint: Endpoint, deniers: Sequence[Endpoint]) -> None:
        """This one knew what those did not: they lag, unless it was an accident."""
        endpoint.in_a_row = 0
        endpoint.strikes = max(0, endpoint.strikes - 1)
        for other in deniers:
            other.strikes += 1
            if other.strikes >= (1 if self._is_same_outage(other) else _STRIKES):
                self.set_aside(other, BlockUnknown("does not know blocks that other endpoints know"))

    def lose(self, endpoint: Endpoint, error: IndexerError) -> None:
        endpoint.reason = error
        if not endpoint.is_well:
            return
        endpoint.is_well = endpoint.is_proven = False
        if self._fell_ill(endpoint, "lost"):
            self._say(endpoint)

    def set_aside(self, endpoint: Endpoint, error: IndexerError, seconds: float = 0.0) -> None:
        """For so long at least, and until it knows the newest block that we followed."""
        endpoint.aside_until = max(endpoint.aside_until, self._clock() + seconds)
        if not endpoint.is_well or endpoint.is_aside:
            return
        endpoint.reason, endpoint.is_aside, endpoint.stood_at = error, True, endpoint.head
        if self._fell_ill(endpoint, "aside"):
            self._say(endpoint)

    def left_out(self, found: str, logs: int) -> None:
        """So many logs were not in an answer; they were found in another one, or by hints."""
        self._counts.on_left_out(found, logs)

    def tell_left_out(self, name: str, block: int) -> None:
        """It did so twice. The metric counts them all."""
        if self._left_out.may_say(name, self._clock()):
            self._log.warning("logs_left_out", endpoint=name, block=block, found="hint")

    def disputed_for(self, block: BlockHash) -> float:
        """Seconds since endpoints were first found to disagree about this block."""
        now = self._clock()
        if self._dispute is None or self._dispute[0] != block:
            self._dispute = (block, now)
        return now - self._dispute[1]

    def back(self) -> asyncio.Future[None]:
        """Done as soon as an endpoint is back; it is everybody's, and not to be cancelled."""
        if self._back is None or self._back.done():
            self._back = asyncio.get_running_loop().create_future()
        return self._back

    def came_back(self) -> None:
        """One that was lost, set aside or late may be asked again."""
        if self._back is not None and not self._back.done():
            self._back.set_result(None)

    async def news(self, seconds: float) -> None:
        """Wait so long, or until an endpoint is back."""
        timer = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait((self.back(), timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()

    async def close(self) -> None:
        revivals = [*self.revivals.values()]
        self.revivals.clear()
        for task in revivals:
            task.cancel()
        await asyncio.gather(*revivals, return_exceptions=True)

    def _tell_other_block(self, endpoint: Endpoint, error: OtherBlock) -> None:
        """The metric counts them all."""
        if self._other_blocks.may_say(endpoint.name, self._clock()):
            self._log.warning(
                "endpoint_answered_for_another_block",
                endpoint=endpoint.name,
                block=error.block.number,
                facts=sorted(error.facts),
            )

    def _fell_ill(self, endpoint: Endpoint, health: Health) -> bool:
        """Probe it from now on; whether that is news."""
        if not self._is_same_outage(endpoint):
            endpoint.failures, endpoint.ill_since = 0, self._clock()
        is_news = not endpoint.failures and not endpoint.is_told
        endpoint.is_told = endpoint.is_told or is_news
        self._counts.on_health(endpoint.name, health)
        if endpoint.name not in self.revivals:
            self.revivals[endpoint.name] = asyncio.create_task(self._revive(endpoint))
        return is_news

    def _say(self, endpoint: Endpoint) -> None:
        if endpoint.is_well:
            self._log.warning("endpoint_set_aside", endpoint=endpoint.name, reason=str(endpoint.reason))
        else:
            self._log.warning("endpoint_lost", endpoint=endpoint.name, reason=str(endpoint.reason))

    def _is_same_outage(self, endpoint: Endpoint) -> bool:
        return endpoint.failures > 0 and self._clock() - endpoint.well_since < _CALM_SECONDS

    async def _revive(self, endpoint: Endpoint) -> None:
        """Probe until it is well: pauses grow, and stay short enough to be back soon."""
        began, tried = self._clock(), 0
        while not endpoint.is_well or endpoint.is_aside:
            if not endpoint.is_told and self._clock() - began >= _CALM_SECONDS:
                # It only seemed to come and go.
                endpoint.is_told = True
                self._say(endpoint)
            # While others serve, one that comes and goes is tried less and less often.
            await self._sleep(self._pause(endpoint, tried if self._is_alone(endpoint) else endpoint.failures))
            endpoint.failures += 1
            tried += 1
            try:
                newest = await endpoint.probe(self.chain_id)
            except IndexerError as error:
                self.lose(endpoint, error)
            else:
                self._answers_again(endpoint, newest)

    def _answers_again(self, endpoint: Endpoint, newest: int) -> None:
        endpoint.in_a_row = endpoint.strikes = 0
        stands = endpoint.stood_at is not None and newest <= endpoint.stood_at < self.followed
        is_behind = newest < self.followed - _NEAR or stands
        endpoint.is_aside = is_behind or self._clock() < endpoint.aside_until
        if is_behind:
            endpoint.reason = BlockUnknown(f"its newest block is {newest}, we followed {self.followed}")
        if not endpoint.is_well or not endpoint.is_aside:
            self._counts.on_health(endpoint.name, "aside" if endpoint.is_aside else "well")
        endpoint.is_well = True
        self.came_back()
        if endpoint.is_aside:
            return
        endpoint.well_since, endpoint.stood_at = self._clock(), None
        self.revivals.pop(endpoint.name, None)
        if endpoint.is_told:
            endpoint.is_told = False
            self._log.info("endpoint_back", endpoint=endpoint.name, probes=endpoint.failures)

    def _pause(self, endpoint: Endpoint, tried: int) -> float:
        """Jitter on top of what was asked for, so that not everybody who was refused comes back at once."""
        longest = _LONGEST_ASIDE if endpoint.is_well else _LONGEST_PAUSE
        pause = min(longest, _SHORTEST_PAUSE * 2.0 ** min(tried, 10)) * (0.5 + self._chance() / 2)
        reason = endpoint.reason
        asked = (reason.retry_after_seconds or 0.0) if isinstance(reason, Throttled) else 0.0
        return max(pause, asked * (1 + self._chance() / 10))


def _borne(error: IndexerError, *, is_alone: bool) -> int:
    """With so many failures in a row an endpoint is lost, this one included.

    One that hangs would keep everybody waiting each time, and one that asks for a pause gets it.
    """
    if isinstance(error, BadAnswer):
        return STUMBLES if is_alone else _BAD_ANSWERS
    is_quick = isinstance(error, NodeUnreachable) and not isinstance(error, NoAnswer)
    is_pauseless = isinstance(error, Throttled) and error.retry_after_seconds is None
    return STUMBLES if is_alone and (is_quick or is_pauseless) else 1
