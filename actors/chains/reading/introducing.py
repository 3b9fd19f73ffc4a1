"""What new tokens say of themselves, asked before any balance of theirs is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from actors.chains.books.bookkeeping import Bookkeeper
from actors.chains.nodes import Tokens
from actors.chains.reading.retelling import Retelling
from indexer.domain.balances import Watch
from indexer.domain.chain import Address, TokenInfo
from indexer.errors import Permanent, Transient

INTRODUCE_SECONDS: Final = 10.0
"""So long a new token that nobody describes holds up its chain: as long as one endpoint may keep a question."""


class Introducer:
    """What fails for long must hold up no head: it is told without, and again once somebody describes it."""

    def __init__(
        self, *, chain_id: int, tokens: Tokens, book: Bookkeeper, retelling: Retelling, watch: Callable[[], Watch]
    ) -> None:
        self._chain_id = chain_id
        self._tokens = tokens
        self._book = book
        self._retelling = retelling
        self._watch = watch
        self._until: float | None = None
        """It is tried till then; nothing where all that is watched was introduced."""
        self._lacking: frozenset[Address] = frozenset()
        """Those that were given up."""

    @property
    def is_owing(self) -> bool:
        return bool(self._lacking)

    def begin(self) -> None:
        """Tried again, a beginning goes on with what is left of its time."""
        if self._until is None:
            self.expect()

    def expect(self) -> None:
        """There is, or may be, a token that was never asked."""
        self._until = asyncio.get_running_loop().time() + INTRODUCE_SECONDS

    async def introduce(self) -> None:
        if self._until is None:
            if self._lacking:
                await self._learn()
            return
        watched = self._watch().tokens
        try:
            infos = await self._tokens.describe(self._chain_id, watched)
        except (Transient, Permanent):
            if asyncio.get_running_loop().time() < self._until:
                raise
            infos = await self._tokens.describe(self._chain_id, ())  # what is known
        self._until = None
        self._tell_late(infos)
        self._lacking = frozenset(token for token in watched if token not in infos)
        self._book.infos = dict(infos) | {str(token): info for token, info in self._retelling.told.items()}

    async def _learn(self) -> None:
        """What somebody else was told meanwhile."""
        try:
            infos = await self._tokens.describe(self._chain_id, ())
        except (Transient, Permanent):
            return  # the plan: with the next block it is tried again
        self._tell_late(infos)

    def _tell_late(self, infos: Mapping[str, TokenInfo]) -> None:
        """Their balances were told without."""
        learnt = {token: infos[token] for token in self._lacking if token in infos}
        self._lacking -= learnt.keys()
        self._retelling.changed({token: info for token, info in learnt.items() if self._book.infos.get(token) != info})
