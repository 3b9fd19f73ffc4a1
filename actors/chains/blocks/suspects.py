"""Balances that moved in a block whose logs, as they were told, do not name them: an endpoint leaves out logs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from indexer.domain.balances import BalanceUpdated
from indexer.domain.following.views import BlockView
from indexer.domain.seldom import Seldom

log = structlog.get_logger(__name__)


class Suspects:
    """Says so once an hour at most; `counted` is told each time."""

    def __init__(self, *, chain: str, counted: Callable[[str, int], None]) -> None:
        self._log = log.bind(chain=chain)
        self._counted = counted
        self._seldom = Seldom()

    def judge(self, view: BlockView, facts: Iterable[BalanceUpdated]) -> None:
        """What was read for the block's bloom alone, and has changed."""
        if not view.suspects:
            return
        moved = sum(fact.holding in view.suspects and not fact.transactions for fact in facts)
        if not moved:
            return
        self._counted("balance", moved)
        if self._seldom.may_say("moved", asyncio.get_running_loop().time()):
            self._log.warning("logs_left_out", block=view.head.number, balances=moved, found="balance")
