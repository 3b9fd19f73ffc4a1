"""One exchange account across the lives of its actor, and what somebody waits for meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actors.accounts.messages import RefreshWallets
from actors.accounts.orders import NOT_FOR_THIS_KEY
from indexer.app.exchanges import Credentials
from indexer.app.posts import Post
from indexer.app.waiting import together
from indexer.config import RulesSettings
from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.registry import Account
from indexer.errors import GivenUp, Impossible, IndexerError, VenueUnreachable

if TYPE_CHECKING:
    from indexer.clients.exchange.account import ExchangeAccount  # importing ccxt takes a second and 60 MB

REFRESH_SECONDS: Final = 30.0

TURN_SECONDS: Final = 8.0
"""So long somebody waits for a read that has not left yet: what a venue lets us ask may be used up for a minute."""

AGAIN_SECONDS: Final = 15.0
"""After so long it is worth asking again."""


@dataclass(slots=True)
class Followed:
    """One of them, across the lives of its actor."""

    account: Account
    credentials: Credentials = field(repr=False)
    connection: ExchangeAccount
    post: Post
    rules: RulesSettings
    lives: int = 0
    given_up: str = ""
    """Why it is followed no longer."""
    over: asyncio.Future[IndexerError] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Why who waits for this life of its actor has no answer from it."""

    def end_life(self, why: IndexerError) -> None:
        """Whoever waits is told so now; who comes later waits for the next life."""
        over, self.over = self.over, asyncio.get_running_loop().create_future()
        over.set_result(why)

    async def read_now(self, wallets: Sequence[Wallet]) -> None:
        """Returns once what they hold is committed."""
        key, ref = self.account.key, self.post.ref
        if self.given_up:
            raise Impossible(f"{key} is not followed: {self.given_up}")
        if ref is None:
            raise GivenUp(f"{key} is being restarted; try again in a moment")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ref.tell(RefreshWallets(frozenset(wallets), done))
        over = self.over
        try:
            await asyncio.wait((done, over), timeout=TURN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not (done.done() or over.done()):
                self._refuse_to_queue()
                rest = REFRESH_SECONDS - TURN_SECONDS
                await asyncio.wait((done, over), timeout=rest, return_when=asyncio.FIRST_COMPLETED)
            if done.done():
                return done.result()
            if over.done():
                raise over.result()
        finally:
            done.cancel()
        raise VenueUnreachable(f"{key} did not answer within {REFRESH_SECONDS:g} s")

    async def read_unless_recent(self, wallets: Sequence[Wallet], max_age_seconds: float) -> None:
        """Those that were not read in so long. Of all, some that the key may not read are no reason to fail."""
        asked = wallets or self.account.wallets
        reads = [self.connection.recent(each, max_age_seconds, partial(self.read_now, (each,))) for each in asked]
        if wallets:
            await together(*reads)
            return
        refusals = [why for why in await together(*map(_refusal, reads)) if why is not None]
        if len(refusals) == len(asked):
            raise refusals[0]

    def _refuse_to_queue(self) -> None:
        if self.connection.waits_for_turn():
            key = self.account.key
            told = f"{key} waits for its turn at {key.exchange}, which lets one address ask so much a minute"
            raise GivenUp(f"{told}; it is read when it has it, also if nobody asks again", AGAIN_SECONDS)


async def _refusal(read: Coroutine[Any, Any, object]) -> Exception | None:
    """Why the key may not read this wallet; nothing where it was read."""
    try:
        await read
    except NOT_FOR_THIS_KEY as error:
        return error
    return None
