"""What a desk does all day, from a seed: the traffic of the demo and the story of a fault run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random

from indexer.demo.venue.state import Account, Change, Holding
from indexer.demo.venue.venue import Venue

PRICES: Mapping[str, str] = {"BTC": "60000", "ETH": "3000", "SOL": "150"}
_START = {"BTC": "2.5", "ETH": "40", "SOL": "500"}
_CASH = "250000"
_CENT = Decimal("0.01")
_SHARES = ("0.001", "0.01", "0.05", "0.2")


class Life:
    """One account's days; each step is something that account can really do now."""

    def __init__(self, venue: Venue, account: Account, seed: int = 1) -> None:
        self._venue = venue
        self._truth = venue.truth
        self._account = account
        self._random = Random(f"{seed} {account}")  # noqa: S311 - a story to repeat
        # There is no cash in a wallet of coin-margined contracts.
        self._wallets = tuple(each for each in venue.wallets(account.exchange) if each != "coin_futures")
        self._margin = venue.margin_wallet(account.exchange)
        self.cash = venue.cash(account.exchange)

    def begin(self) -> None:
        """The first deposits: coins and cash in the first wallet, cash in the others."""
        first = self._wallets[0]
        for asset, amount in _START.items():
            self._truth.deposit(self._account, first, asset, amount)
        for wallet in self._wallets:
            self._truth.deposit(self._account, wallet, self.cash, _CASH)

    def step(self) -> Change:
        """Something happens."""
        happenings: list[Callable[[], Change | None]] = [self._trade, self._order, self._deposit, self._move]
        if self._margin:
            happenings += [self._position, self._funding]
        happening = self._random.choice(happenings)
        # Not everything is possible at all times; a deposit always is.
        return happening() or self._deposit()

    async def run(self, per_second: float) -> None:
        """Steps until cancelled, at irregular intervals."""
        while True:
            await asyncio.sleep(self._random.expovariate(per_second))
            self.step()

    def _trade(self) -> Change | None:
        """Buy or sell a coin for cash where there are both."""
        wallet, asset = self._wallets[0], self._random.choice(tuple(PRICES))
        if self._random.random() < 0.5:
            spent = self._share(wallet, self.cash)
            got = (spent / Decimal(PRICES[asset])).quantize(Decimal("0.00000001"))
            changes = {self.cash: -spent, asset: got}
        else:
            sold = self._share(wallet, asset)
            changes = {asset: -sold, self.cash: (sold * Decimal(PRICES[asset])).quantize(_CENT)}
        return self._truth.trade(self._account, wallet, changes) if all(changes.values()) else None

    def _order(self) -> Change | None:
        """An order is placed, or one that waits is cancelled."""
        wallet = self._wallets[0]
        held = self._held(wallet, self.cash)
        state = self._truth.state(self._account)
        margin = sum((each.margin for each in state.positions.values()), Decimal(0)) if wallet == self._margin else 0
        waiting = held.used - margin
        if waiting > 0:
            return self._truth.release(self._account, wallet, self.cash, waiting)
        amount = self._share(wallet, self.cash)
        return self._truth.hold(self._account, wallet, self.cash, amount) if amount else None

    def _deposit(self) -> Change:
        wallet, asset = self._random.choice(self._wallets), self.cash
        amount = Decimal(self._random.randrange(1, 100_000)) / 100
        return self._truth.deposit(self._account, wallet, asset, amount)

    def _move(self) -> Change | None:
        """Cash goes from one wallet to another."""
        if len(self._wallets) == 1:
            return None
        source, target = self._random.sample(self._wallets, 2)
        amount = self._share(source, self.cash)
        return self._truth.transfer(self._account, self.cash, amount, source, target) if amount else None

    def _position(self) -> Change | None:
        """A position is opened, turned or closed, at a price near the market's."""
        base = self._random.choice(tuple(PRICES))
        symbol = f"{base}/{self.cash}:{self.cash}"
        price = (Decimal(PRICES[base]) * Decimal(self._random.randrange(990, 1010)) / 1000).quantize(_CENT)
        wanted = (Decimal(self._random.randrange(-20, 21)) * 100 / price).quantize(_CENT)
        if symbol not in self._truth.state(self._account).positions and not wanted:
            return None
        if self._held(self._margin, self.cash).free < 10_000:
            return None
        return self._truth.open_position(self._account, symbol, wanted, price)

    def _funding(self) -> Change | None:
        positions = tuple(self._truth.state(self._account).positions)
        if not positions or self._held(self._margin, self.cash).free < 10_000:
            return None
        amount = Decimal(self._random.randrange(-500, 500)) / 100
        return self._truth.pay_funding(self._account, self._random.choice(positions), amount) if amount else None

    def _share(self, wallet: str, asset: str) -> Decimal:
        free = self._held(wallet, asset).free
        share = (free * Decimal(self._random.choice(_SHARES))).quantize(Decimal("0.0001"))
        return max(share, Decimal(0))

    def _held(self, wallet: str, asset: str) -> Holding:
        return self._truth.state(self._account).holdings(wallet).get(asset, Holding())
