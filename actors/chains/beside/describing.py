"""Asks tokens again and again what they say of themselves, beside the heads, which never wait for it."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from typing import Final

from actors.chains.followed import Followed
from actors.chains.nodes import Tokens
from actors.messages import TokensChanged
from indexer.domain.chain import Address
from indexer.errors import Permanent, Transient

PART: Final = 25
"""Tokens in one round, each three calls of one request: providers count calls. Of more, each has its turn."""

PAUSE_SECONDS: Final = 1.0


class Describer:
    """One round once we have caught up, then one with each sync; `found` hears who says something else.

    And who was asked, where somebody waits for that.
    """

    def __init__(
        self,
        *,
        chain_id: int,
        tokens: Tokens,
        followed: Followed,
        awaited: Callable[[], frozenset[str]],
        seconds: Callable[[], float],
        may: Callable[[], bool],
        breathe: Callable[[], Awaitable[None]],
    ) -> None:
        self._chain_id = chain_id
        self._tokens = tokens
        self._followed = followed
        self._awaited = awaited
        self._seconds = seconds
        self._may = may
        self._breathe = breathe
        self._last: Address | None = None

    async def run(self, found: Callable[[TokensChanged], None]) -> None:
        """Until cancelled."""
        while True:
            pause = PAUSE_SECONDS
            if self._may():
                await self._round(found)
                pause = self._seconds()
            await asyncio.sleep(pause)

    async def _round(self, found: Callable[[TokensChanged], None]) -> None:
        await self._breathe()
        tip, part = self._followed.tip, self._part()
        if tip is None or not part:
            return
        try:
            told = await self._tokens.say_otherwise(self._chain_id, part, tip.hash)
        except (Transient, Permanent):
            return  # the next round asks again, and that a node does not answer is said by those who wait for it
        asked = self._awaited().intersection(part)
        if (told or asked) and self._followed.known.find(tip.hash) is not None:
            found(TokensChanged(told, asked))

    def _part(self) -> list[Address]:
        """Who is awaited, then those whose turn it is."""
        tokens = sorted(self._followed.watch.tokens)
        awaited = self._awaited()
        first = [token for token in tokens if token in awaited][:PART]
        place = 0 if self._last is None or len(tokens) <= PART else bisect_right(tokens, self._last)
        others = [token for token in (*tokens[place:], *tokens[:place]) if token not in first]
        turn = others[: PART - len(first)]
        self._last = turn[-1] if turn else self._last
        return [*first, *turn]
