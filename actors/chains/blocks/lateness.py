"""Logs that a node indexes a moment after it announces their block: waited for where a balance has moved."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from actors.chains.books.ledger import Ledger
from actors.chains.followed import Followed
from actors.chains.nodes import Node
from indexer.domain.balances import touched
from indexer.domain.chain import Holding
from indexer.domain.following.views import BlockView
from indexer.errors import StateMissing, Transient

ASKED_AFTER: Final = (0.1, 0.25, 0.5)
"""Seconds, each from when the block was seen without them."""

LONGEST_SECONDS: Final = 0.7
"""What moved is told so much later at most, however long an answer takes: with its logs, or as unexplained."""

REST_SECONDS: Final = (10.0, 600.0)
"""A token that was waited for in vain may move without logs: so long nobody waits for it again, twice as long each time
up to the second of these, until a log of it is late once more."""


class Rest(NamedTuple):
    """Until when nobody waits for logs of a token, and how long that was."""

    until: float
    seconds: float


class LateLogs:
    """Asks again about blocks whose bloom names somebody whom no log names, and whose balance moved."""

    def __init__(self, *, node: Node, followed: Followed, ledger: Ledger) -> None:
        self._node = node
        self._followed = followed
        self._ledger = ledger
        self._clock = asyncio.get_running_loop().time
        self._rests: dict[str, Rest] = {}
        """By watched token."""

    async def awaited(self, views: Sequence[BlockView]) -> Sequence[BlockView]:
        """These blocks, with what came meanwhile."""
        due = late = self._due(views)
        if not due:
            return views
        whole, begun = list(views), self._clock()
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                for seconds in ASKED_AFTER:
                    await asyncio.sleep(begun + seconds - self._clock())
                    await self._look_again(whole, due)
                    due = self._due(whole)
                    if not due:
                        break
        except TimeoutError:
            pass  # the plan, as below; and another block would wait in vain as well
        except (Transient, StateMissing):
            return whole  # the plan: the balances are right as they are, and are not held up for their logs
        for token in _tokens(late) - _tokens(due):
            self._rests.pop(token, None)
        for token in _tokens(due):
            self._let_rest(token)
        return whole

    async def _look_again(self, whole: list[BlockView], due: Collection[int]) -> None:
        """At the blocks in these places."""
        heads = [whole[place].head for place in due]
        again = await self._node.look(heads, self._followed.watch, natives=False)
        for place, view in zip(due, again, strict=True):
            whole[place] = _joined(whole[place], view)

    def _let_rest(self, token: str) -> None:
        first, longest = REST_SECONDS
        seconds = min(self._rests[token].seconds * 2, longest) if token in self._rests else first
        self._rests[token] = Rest(self._clock() + seconds, seconds)

    def _due(self, views: Sequence[BlockView]) -> Mapping[int, frozenset[Holding]]:
        """By the place of their block, the balances that moved there for no reason that was told."""
        if not any(view.suspects for view in views):
            return {}
        due: dict[int, frozenset[Holding]] = {}
        now = dict[Holding, int]()
        for place, view in enumerate(views):
            silent = view.suspects - touched(view.transfers, self._followed.watch)
            if moved := frozenset(each for each in silent if self._has_moved(each, view, now)):
                due[place] = moved
            now |= view.readings.values
        return due

    def _has_moved(self, holding: Holding, view: BlockView, now: Mapping[Holding, int]) -> bool:
        """Since the block below; of whoever is not known there, nobody can say."""
        ledger = self._ledger
        if holding in ledger.returned or holding in ledger.unread.held:
            return False
        if holding.token in self._rests and self._clock() < self._rests[holding.token].until:
            return False
        value, before = view.readings.values.get(holding), now.get(holding, ledger.balances.get(holding))
        return None not in (value, before) and value != before


def _tokens(due: Mapping[int, frozenset[Holding]]) -> frozenset[str]:
    return frozenset(holding.token for moved in due.values() for holding in moved)


def _joined(view: BlockView, again: BlockView) -> BlockView:
    """Both are of the same block: each log that either has is in it."""
    logs = {log.log_index: log for log in (*view.transfers, *again.transfers)}
    return replace(
        view,
        transfers=tuple(logs[index] for index in sorted(logs)),
        readings=view.readings.and_more(again.readings),
        suspects=view.suspects | again.suspects,
    )
