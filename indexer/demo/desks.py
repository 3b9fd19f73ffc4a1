"""The demo's exchange accounts: an honest venue, and desks that trade on it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from indexer.config import ExchangeSettings
from indexer.demo.venue import Account, Venue
from indexer.demo.venue.life import Life
from indexer.masking import Secret

STEPS_PER_SECOND = 0.6
"""Of each desk: deposits, trades, orders, transfers, positions and funding, as they come."""


@dataclass(frozen=True, slots=True)
class DeskPlan:
    """An account before its venue is there."""

    exchange: str
    name: str


DESK_PLANS = (DeskPlan("binance", "main"), DeskPlan("okx", "hedge"))


class Desks:
    """Opens the venue with every desk's first deposits made; nothing moves before `trade`."""

    def __init__(self, venue: Venue, accounts: Sequence[Account], seed: int) -> None:
        self.venue = venue
        self.accounts = tuple(accounts)
        self._lives = [Life(venue, account, seed) for account in accounts]
        for life in self._lives:
            life.begin()

    def settings(self) -> dict[str, ExchangeSettings]:
        """What a service needs to follow them."""
        return {f"{account.exchange}-{account.name}": self._settings(account) for account in self.accounts}

    def trade(self) -> list[asyncio.Task[None]]:
        return [
            asyncio.create_task(life.run(STEPS_PER_SECOND), name=f"traffic {account}")
            for account, life in zip(self.accounts, self._lives, strict=True)
        ]

    def _settings(self, account: Account) -> ExchangeSettings:
        keys = account.credentials
        return ExchangeSettings(
            name=account.name,
            exchange=account.exchange,
            api_key=Secret(keys.get("apiKey", "")),
            secret=Secret(keys.get("secret", "")),
            password=Secret(keys.get("password", "")),
            wallet_address=Secret(keys.get("walletAddress", "")),
            base_url=self.venue.url(account.exchange),
        )


async def open_desks(stack: AsyncExitStack, plans: Sequence[DeskPlan], seed: int) -> Desks | None:
    """Nothing where there are no plans; closed with the stack."""
    if not plans:
        return None
    venue = await stack.enter_async_context(Venue(*dict.fromkeys(plan.exchange for plan in plans), seed=seed))
    return Desks(venue, [venue.account(plan.exchange, plan.name) for plan in plans], seed)
