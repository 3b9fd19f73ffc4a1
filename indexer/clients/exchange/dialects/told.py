"""What a venue tells: in an answer a whole wallet, in a frame what changed, and positions in both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from indexer.domain.accounts.amounts import Amounts, Slot
from indexer.domain.accounts.arrivals import Position

Exchange = Any
"""An instance of one of ccxt's classes, which have no types."""


class Found(NamedTuple):
    """A whole wallet as one answer says it. `complete`: what it leaves out is not there.

    Its times are of the balances: an answer's own is none, unless the venue says that the balances are as of then.
    """

    amounts: Mapping[str, Amounts]
    venue_time: datetime | None = None
    complete: bool = True
    times: Mapping[str, datetime] = {}
    """Of single assets, where the venue says when each changed."""


class Told(NamedTuple):
    """What one frame says: new amounts, or only that something moved; a `whole` one names all there is."""

    amounts: Mapping[str, Amounts] = {}
    moved: Mapping[Slot, Decimal] = {}
    venue_time: datetime | None = None
    whole: bool = False
    number: int | None = None
    """Of this frame among those of its subscription, where the venue counts them."""
    is_first: bool = False
    """What a subscription begins with: all amounts, and the number from which on frames are counted."""
    asked: float | None = None
    """Not before that, by our clock, the subscription began of which it is the first."""
    positions: tuple[Mapping[str, Any], ...] | None = None
    """As the venue writes them: their names are made with its lists, which a stream has no need of. In a `whole` frame
    they are all that are open."""
    times: Mapping[str, datetime] = {}
    """Of single assets, where the venue says when each changed."""
    orders: bool = False
    """That an order moved, where what orders hold is told by reads alone."""


class Placed(NamedTuple):
    """A position, and when the venue changed it, where it says so."""

    position: Position
    time: datetime | None = None
