"""Reads what is due a part at a turn, so that heads and orders come in between; and says when that has caught up."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from actors.chains.nodes import Node
from actors.chains.reading.reading import Reader
from indexer.domain.chain import Head

log = structlog.get_logger(__name__)


class ReadingTurns:
    """A chain has caught up when all that was due at the newest block was read; from then on more may become due."""

    def __init__(self, *, chain: str, node: Node, reader: Reader, line_up: Callable[[], None]) -> None:
        self.has_caught_up = False
        self._chain = chain
        self._node = node
        self._reader = reader
        self._line_up = line_up
        self._is_in_line = False

    @property
    def owe_reads(self) -> bool:
        """Once caught up, it is live while it reads what is new part by part."""
        return bool(self._reader.due) and not (self.has_caught_up and self._is_in_line)

    def came(self) -> None:
        """The turn for which we had lined up."""
        self._is_in_line = False

    async def read(self, tip: Head) -> None:
        await self._reader.read_due(tip)
        if self._reader.due:
            self._go_on()
        elif not self.has_caught_up:
            self.has_caught_up = True
            log.info("chain_caught_up", chain=self._chain, block=tip.number, endpoint=self._node.endpoint)

    def _go_on(self) -> None:
        """Once others have had their turn."""
        if not self._is_in_line:
            self._is_in_line = True
            self._line_up()
