"""What a frame says of balances and orders, as the words that an account's actor hears."""

from __future__ import annotations

from datetime import datetime

from indexer.clients.exchange.dialects.dialect import WalletKind
from indexer.clients.exchange.dialects.told import Told
from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.arrivals import Arrival, Moved, OrderMoved, Snapshot, Updated


def arrivals_of(wallet: Wallet, kind: WalletKind, told: Told, now: float, time: datetime) -> list[Arrival]:
    """It came `now` by our loop's clock, at that `time` by the calendar."""
    found: list[Arrival] = [Moved(slot, change, now, told.venue_time) for slot, change in told.moved.items()]
    if told.whole:
        found.append(
            Snapshot(
                wallet=wallet,
                amounts=told.amounts,
                measure=kind.measure,
                source="stream",
                asked=now,
                received=now,
                time=time,
                venue_time=told.venue_time,
                complete=False,
                times=told.times,
            )
        )
    elif told.amounts:
        found.append(Updated(wallet, told.amounts, kind.measure, now, time, told.venue_time, told.times, told.asked))
    if told.orders:
        found.append(OrderMoved(wallet))
    return found
