"""Tokens that do not tell the balances we watch: said when it begins and when it ends, and asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from actors.chains.books.ledger import Ledger
from actors.clock import now
from actors.messages import Differed
from indexer.domain.chain import Holding
from indexer.domain.following.views import Readings
from indexer.domain.health.unread import Unread

log = structlog.get_logger(__name__)

FIRST_AGAIN_SECONDS: Final = 2.0
"""One odd answer of a node is over by then. Each further pause is twice as long; beyond a sync round's, those do."""


class Unanswered:
    """Keeps in the ledger which balances could not be read when they were read last."""

    def __init__(
        self,
        *,
        chain: str,
        ledger: Ledger,
        counted: Callable[[int, int], None],
        was_read: Callable[[frozenset[Holding]], None],
    ) -> None:
        self._log = log.bind(chain=chain)
        self._ledger = ledger
        self._counted = counted
        self._was_read = was_read
        self._more = asyncio.Event()

    def note(self, readings: Readings, block: int, held: int | None = None) -> None:
        """What was just read, once it is recorded; without `held`, all of them held up to the block below."""
        failed = {key: why for key, why in readings.unreadable.items() if key not in readings.values}
        before = self._ledger.unread
        if not failed and not before:
            return
        after = before.answered(readings.values.keys())
        if failed:
            held = block - 1 if held is None else held
            # Of those that nobody watched for a while, only their record is known.
            until = {key: 0 if key in self._ledger.returned else held for key in failed}
            after = after.failed(failed, block, now(), until)
        if after != before:
            self._ledger.unread = after
            self._tell(before, after)
        self.show(len(failed))

    def roll_back(self, number: int) -> None:
        if self._ledger.unread:
            self._ledger.unread = self._ledger.unread.cut(number)

    def show(self, failed: int = 0) -> None:
        self._counted(len(self._ledger.unread.tokens), failed)

    async def ask_again(
        self, ask: Callable[[Differed], None], may: Callable[[], bool], sync: Callable[[], float]
    ) -> None:
        """Until cancelled: soon after one failed, then more and more seldom."""
        while True:
            self._more.clear()
            pause = FIRST_AGAIN_SECONDS
            while self._ledger.unread and pause < sync():
                if await self._fails_more(pause):
                    break
                if may() and self._ledger.unread:
                    ask(Differed(frozenset(self._ledger.unread.held)))
                pause *= 2
            else:
                await self._more.wait()

    async def _fails_more(self, seconds: float) -> bool:
        """Wait so long, or until another one fails, which would wait too long with those before."""
        try:
            async with asyncio.timeout(seconds):
                await self._more.wait()
        except TimeoutError:
            return False
        return True

    def _tell(self, before: Unread, after: Unread) -> None:
        for token, since in after.tokens.items():
            if token not in before.tokens:
                self._log.warning("token_unreadable", token=token, block=since.block, reason=since.reason)
        for token, since in before.tokens.items():
            if token not in after.tokens:
                self._log.info("token_readable", token=token, since=since.block)
        if after.held.keys() - before.held.keys():
            self._more.set()
        if read := before.held.keys() - after.held.keys():
            self._was_read(frozenset(read))
