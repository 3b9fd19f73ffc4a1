"""What a chain does about trouble: it tries again, and tells what lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from actors.chains.books.writing import Writer
from actors.chains.health.alarm import Alarm
from actors.chains.health.asking import Asking
from actors.chains.health.health import Health
from actors.chains.reading.turns import ReadingTurns
from actors.messages import TryAgain
from indexer.errors import StateMissing, Transient, WrongChain

WRONG_CHAIN_SECONDS: Final = 5.0
"""How often a node of the wrong chain is asked again: somebody may have corrected it."""


class Trouble:
    """One further try at a time: where several are set, the last one counts."""

    def __init__(
        self,
        *,
        health: Health,
        alarm: Alarm,
        node: Asking,
        turns: ReadingTurns,
        writer: Writer,
        show: Callable[[], None],
        post: Callable[[TryAgain], None],
    ) -> None:
        self._health = health
        self._alarm = alarm
        self._node = node
        self._turns = turns
        self._writer = writer
        self._show = show
        self._post = post
        self._loop = asyncio.get_running_loop()
        self._set = self._came = 0

    async def met(self, error: Transient | StateMissing | WrongChain, *, began: bool, asked_at: float) -> None:
        """While a message was handled that asks the node since `asked_at`."""
        if isinstance(error, WrongChain):
            self._health.suspend(error)
            self._try_in(WRONG_CHAIN_SECONDS)
            await self._alarm.tell_stale(str(error))
            return
        pause = self._health.trouble(error, began=began, asked_at=asked_at)
        if self._health.is_lasting:
            await self._alarm.tell_stale(str(error))
        self._try_in(pause)

    def note_owed(self, *, is_owed: bool, queued: int) -> None:
        """A head that is not followed though it was announced: its block is still to come to the endpoint we ask."""
        if not is_owed:
            self._health.waits = 0
        elif not queued and self._set == self._came:
            self._try_in(self._health.wait())

    async def overdue(self) -> None:
        """Beside a handler that still waits for the node; a chain that never was live promised nothing yet."""
        if self._turns.has_caught_up and self._health.halted is None:
            await self._writer.write_held()  # no block is shown as followed before it is told
            silence = f"no answer from {self._node.endpoint} for {self._alarm.patience():.0f} s"
            self._health.slow = self._node.outage or silence
            self._show()
            await self._alarm.tell_stale(self._health.slow)
            await self._writer.write_held()
            self._show()

    def counts(self, turn: int) -> bool:
        return turn == self._set

    def came(self) -> None:
        """The try that counts."""
        self._came = self._set

    def _try_in(self, seconds: float) -> None:
        self._set += 1
        self._loop.call_later(seconds, self._post, TryAgain(self._set))
