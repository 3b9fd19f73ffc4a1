"""What the venue held, moment by moment, in the words in which its dialect tells it."""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final

from indexer.demo.venue import Account, Change, Venue
from indexer.demo.venue.dialects.okx.shapes import CONTRACT
from indexer.demo.venue.state import EXACT, AccountState, Holding
from indexer.domain.accounts.amounts import Amounts, AssetBalance, Slot, Wallet
from indexer.domain.accounts.arrivals import Position

_DERIVED: Final = {("binance", "futures"), ("deribit", "futures")}
"""What is free there counts unrealised profit and other collateral: a number of the venue's, not of the truth."""

_WRITTEN: Final = re.compile("[^A-Z]|SWAP|PERPETUAL")

Past = list[tuple[float, AccountState]]


class Truth:
    """Every state that the account ever had, with the loop's time from which on it was so."""

    def __init__(self, venue: Venue, account: Account, wallets: tuple[Wallet, ...]) -> None:
        self._account = account
        self._margin = venue.margin_wallet(account.exchange)
        self._clock = asyncio.get_running_loop().time
        self.wallets = wallets
        self.past: Past = [(self._clock(), venue.truth.state(account))]
        self.changed: dict[Slot, float] = {}
        """When each slot's balance was changed last."""
        venue.truth.listen(self._note)

    @property
    def state(self) -> AccountState:
        return self.past[-1][1]

    def differing(self, held: Mapping[Slot, AssetBalance], *, parts: bool) -> Iterator[Slot]:
        """Where what we hold is not what is so now; `parts`: what is free and used as well as the balance."""
        for wallet in self.wallets:
            for asset, holding in self.state.holdings(wallet).items():
                slot = Slot(wallet, asset)
                one = held.get(slot)
                if one is None:
                    if holding.total or holding.debt:
                        yield slot
                elif not self._fits(one, self.state, parts=parts):
                    yield slot
        for slot, one in held.items():
            if slot.asset not in self.state.holdings(slot.wallet) and not self._fits(one, self.state, parts=parts):
                yield slot

    def was_so(self, one: AssetBalance, until: float) -> bool:
        """At any moment before this one."""
        newest = bisect_right(self.past, until, key=_time)
        return any(self._fits(one, self.past[index][1], parts=True) for index in reversed(range(newest)))

    def version(self, one: AssetBalance, since: int, until: float) -> int | None:
        """The first of its states from this one on, and before that moment, in which it was so."""
        newest = bisect_right(self.past, until, key=_time)
        return next((at for at in range(since, newest) if self._fits(one, self.past[at][1], parts=True)), None)

    def was_nothing(self, slot: Slot, since: float, until: float) -> bool:
        """At some moment of this window."""
        oldest = max(bisect_right(self.past, since, key=_time) - 1, 0)
        newest = bisect_right(self.past, until, key=_time)
        return any(not self._balance(slot, state) for _, state in self.past[oldest:newest])

    def was_empty(self, wallet: Wallet, since: float, until: float) -> bool:
        """All of it, at some moment of this window."""
        oldest = max(bisect_right(self.past, since, key=_time) - 1, 0)
        newest = bisect_right(self.past, until, key=_time)
        return any(
            not any(self._balance(Slot(wallet, asset), state) for asset in state.holdings(wallet))
            for _, state in self.past[oldest:newest]
        )

    def was_position(self, position: Position, since: float, until: float) -> bool:
        """Whether it was so at some moment of this window."""
        oldest = max(bisect_right(self.past, since, key=_time) - 1, 0)
        newest = bisect_right(self.past, until, key=_time)
        return any(self._holds(position, state) for _, state in self.past[oldest:newest])

    def outdated(self, told: Iterable[Position]) -> Iterator[Position]:
        """Those that are not so now."""
        return (position for position in told if not self._holds(position, self.state))

    def _holds(self, position: Position, state: AccountState) -> bool:
        named = {_plain(symbol): each for symbol, each in state.positions.items()}
        held = named.get(_plain(position.symbol))
        if held is None or position.side == "flat":
            return held is None and position.side == "flat"
        size = EXACT.divide(held.size, CONTRACT) if self._account.exchange == "okx" else held.size
        side = "long" if size > 0 else "short"
        return (position.side, position.contracts, position.entry_price) == (side, abs(size), held.entry_price)

    def _note(self, change: Change) -> None:
        now = self._clock()
        self.past.append((now, change.state))
        for move in change.moves:
            if move.delta or move.before.debt != move.after.debt:
                self.changed[Slot(_wallet(move.wallet), move.asset)] = now
        if change.positions and self._account.exchange == "hyperliquid":
            self.changed[Slot("futures", "USDC")] = now  # told as equity

    def _fits(self, one: AssetBalance, state: AccountState, *, parts: bool) -> bool:
        told, holding = one.amounts, state.holdings(one.slot.wallet).get(one.slot.asset, Holding())
        balance = self._balance(one.slot, state) if one.measure == "equity" else holding.total
        if told.total is not None and told.total != balance:
            return False
        if not parts and told.total is not None:
            return True
        is_derived = (self._account.exchange, one.slot.wallet) in _DERIVED
        pairs = (
            (None if is_derived else told.free, holding.free),
            (None if is_derived else told.used, holding.used),
            (told.debt, holding.debt),
        )
        return all(said is None or said == true for said, true in pairs)

    def _balance(self, slot: Slot, state: AccountState) -> Decimal:
        holding = state.holdings(slot.wallet).get(slot.asset, Holding())
        is_equity = self._account.exchange == "hyperliquid" and slot.wallet == self._margin
        return EXACT.add(holding.total, state.unrealised(slot.asset)) if is_equity else holding.total


def _plain(symbol: str) -> str:
    """Without what venues write differently: a story's lists of markets leave some out, which then keep their names."""
    return _WRITTEN.sub("", symbol.partition(":")[0])


def _time(one: tuple[float, AccountState]) -> float:
    return one[0]


def is_nothing(amounts: Amounts) -> bool:
    """Whether somebody who reads this takes the asset for gone."""
    return not amounts.balance


def _wallet(name: str) -> Wallet:
    found: Wallet = name  # type: ignore[assignment] # the venue has the same words
    return found
