"""What new tokens say of themselves: asked beside the heads, which wait for it a moment, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from actors.chains.books.bookkeeping import Bookkeeper
from actors.chains.followed import Followed
from actors.chains.nodes import Tokens
from actors.chains.reading.retelling import Retelling
from actors.messages import TokensChanged
from indexer.domain.chain import Address, TokenInfo
from indexer.errors import Permanent, Transient

INTRODUCE_SECONDS: Final = 1.0
"""So long heads wait, that nearly always no balance of a new token is told without its decimals."""

BEGIN_SECONDS: Final = 10.0
"""The same before anything was ever told: describing hundreds takes longer than one, and nobody waits yet."""

PAUSES_SECONDS: Final = (0.1, 30.0)
"""Before it is asked again: the first pause and the longest, each twice as long as the one before."""


class Introducer:
    """Who says nothing in time is told without, and again once somebody says it."""

    def __init__(
        self, *, chain_id: int, tokens: Tokens, book: Bookkeeper, retelling: Retelling, followed: Followed
    ) -> None:
        self._chain_id = chain_id
        self._tokens = tokens
        self._book = book
        self._retelling = retelling
        self._followed = followed
        self._is_expecting = False
        self._wanted, self._answered = asyncio.Event(), asyncio.Event()
        self._lacking: frozenset[Address] = frozenset()
        """Those whose balances are told without."""

    def expect(self) -> None:
        """There is, or may be, a token that was never asked."""
        self._is_expecting = True

    async def begin(self, *, has_told: bool) -> None:
        self.expect()
        await self.introduce(INTRODUCE_SECONDS if has_told else BEGIN_SECONDS)

    async def introduce(self, patience: float = INTRODUCE_SECONDS) -> None:
        """Before any balance is told: from now on each is told with what is known of its token by now."""
        if not self._is_expecting and not self._lacking:
            return
        infos = await self._known()
        if self._is_expecting and not infos.keys() >= self._followed.watch.tokens:
            await self._wait(patience)
            infos = await self._known()
        self._is_expecting = False
        self._tell_late(infos)
        self._lacking = self._followed.watch.tokens - infos.keys()
        self._book.infos = dict(infos) | {str(token): info for token, info in self._retelling.told.items()}

    async def run(self, found: Callable[[TokensChanged], None]) -> None:
        """Until cancelled: asks whenever a head waits for it, and until somebody answers."""
        first, longest = PAUSES_SECONDS
        pause: float | None = None
        while True:
            await self._rest(pause)
            try:
                await self._tokens.describe(self._chain_id, self._followed.watch.tokens)
            except (Transient, Permanent):
                pause = first if pause is None else min(2 * pause, longest)
                continue  # the plan: heads go on without
            pause = None
            self._answered.set()
            if self._lacking:
                found(TokensChanged({}))

    async def _rest(self, seconds: float | None) -> None:
        """So long, or until a head waits."""
        try:
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        except TimeoutError:
            pass
        self._wanted.clear()

    async def _known(self) -> Mapping[str, TokenInfo]:
        return await self._tokens.describe(self._chain_id, ())

    async def _wait(self, seconds: float) -> None:
        self._answered.clear()
        self._wanted.set()
        try:
            async with asyncio.timeout(seconds):
                await self._answered.wait()
        except TimeoutError:
            pass  # the plan: what hangs for long must hold up no head

    def _tell_late(self, infos: Mapping[str, TokenInfo]) -> None:
        """Their balances were told without."""
        learnt = {token: infos[token] for token in self._lacking if token in infos}
        self._retelling.changed({token: info for token, info in learnt.items() if self._book.infos.get(token) != info})
