"""Refreshes that somebody waits for."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

from actors.accounts.messages import WalletRead
from indexer.domain.accounts.amounts import Wallet
from indexer.errors import BadCredentials, GivenUp, IndexerError, WalletUnsupported

MOST_DOUBTED: Final = 2
"""So many empty answers are waited out: the third is believed where nothing was ever there, or a frame said so, too."""

NOT_FOR_THIS_KEY: Final = (BadCredentials, WalletUnsupported)
"""Venues say the same of a key that is none and of one that lacks a permission; of all, the account is suspended."""

AGAIN_SECONDS: Final = 5.0
"""After so long it is worth asking again."""


class Orders:
    """All refreshes that are not answered yet."""

    def __init__(self) -> None:
        self._open: list[Order] = []

    def add(self, wallets: set[Wallet], since: float, done: asyncio.Future[None], *, is_of_all: bool = False) -> None:
        self._open.append(Order(wallets, since, done, is_of_all=is_of_all))

    def want(self, wallet: Wallet) -> bool:
        return any(wallet in order.wallets and not order.done.done() for order in self._open)

    def settle(self, read: WalletRead, *, is_unsure: bool, doubted: str | None = None) -> bool:
        """Take it for an answer wherever it is one; whether an order that came after it began wants another."""
        is_too_old = False
        for order in self._open:
            if order.concerns(read):
                order.settle(read, is_unsure=is_unsure, doubted=doubted)
            elif read.wallet in order.wallets:
                is_too_old = True
        return is_too_old

    def give_up(self, error: IndexerError) -> None:
        """Nothing is asked any more, whoever waits: no read will come."""
        for order in self._open:
            order.give_up(error)

    def answer(self) -> None:
        """Once what they asked for is committed."""
        for order in self._open:
            order.answer()
        self._open = [order for order in self._open if not order.done.done()]


class Order:
    """One refresh: answered once every wallet was read after it was asked for."""

    def __init__(
        self, wallets: set[Wallet], since: float, done: asyncio.Future[None], *, is_of_all: bool = False
    ) -> None:
        self.wallets = wallets
        self.done = done
        self._since = since
        self._is_of_all = is_of_all
        self._is_answered = False
        """By one wallet at least."""
        self._error: IndexerError | None = None
        self._refusal: IndexerError | None = None
        """Why the key may not read some wallet of all."""
        self._waited_out: Counter[Wallet] = Counter()

    def concerns(self, read: WalletRead) -> bool:
        return read.wallet in self.wallets and read.asked >= self._since

    def settle(self, read: WalletRead, *, is_unsure: bool, doubted: str | None) -> None:
        """An answer that may be older than what is known is waited out once: where much happens, all of them may be.

        One that is `doubted` is none, and another is waited for, though not until it is believed: that may take long.
        """
        most = MOST_DOUBTED if doubted is not None else int(is_unsure)
        if self._waited_out[read.wallet] < most:
            self._waited_out[read.wallet] += 1
            return
        self.wallets.discard(read.wallet)
        if self._is_of_all and isinstance(read.outcome, NOT_FOR_THIS_KEY):
            self._refusal = read.outcome
        elif isinstance(read.outcome, IndexerError):
            self._error = read.outcome
        elif doubted is not None:
            self._error = GivenUp(f"{doubted}, which is not believed yet; it is asked again", AGAIN_SECONDS)
        else:
            self._is_answered = True

    def give_up(self, error: IndexerError) -> None:
        self.wallets.clear()
        self._error = error

    def answer(self) -> None:
        if self.wallets or self.done.done():
            return
        error = self._error or (None if self._is_answered else self._refusal)
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
