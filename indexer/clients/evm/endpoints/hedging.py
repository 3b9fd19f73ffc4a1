"""How long an endpoint may keep us waiting before another one is asked as well, or before it is waited for no more."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from indexer.clients.evm.endpoints.attempts import Attempts
from indexer.clients.evm.endpoints.endpoint import Endpoint

_SHORTEST_HEDGE: Final = 0.25
_LONGEST_HEDGE: Final = 0.5
"""Seconds. With the time that another endpoint takes, a head is handled within one after the preferred one died."""
_TIMES_USUAL: Final = 3.0
_MOST_HEDGES: Final = 10.0
_HEDGES_PER_QUESTION: Final = 0.1
"""Where every tenth question is asked twice, slowness is the rule, and hedging would only add to the load."""


class Hedging:
    """`left` is how many questions may be put to a second endpoint."""

    def __init__(self) -> None:
        self.left = _MOST_HEDGES

    def begins(self) -> None:
        """Another question is put."""
        self.left = min(_MOST_HEDGES, self.left + _HEDGES_PER_QUESTION)

    def hedged(self) -> None:
        self.left -= 1

    def unusual_seconds(self, endpoint: Endpoint) -> float:
        """An answer to a small question that takes longer than that is unusual."""
        unusual = _TIMES_USUAL * endpoint.usual_seconds
        if self.left < 1:
            return max(unusual, 4 * _LONGEST_HEDGE)
        return min(max(unusual, _SHORTEST_HEDGE), _LONGEST_HEDGE)

    def pause(
        self,
        last: Endpoint,
        running: Collection[Endpoint],
        other: Endpoint | None,
        attempts: Attempts,
        hedge_seconds: float | None,
    ) -> float | None:
        """How long those that are `running`, the `last` that was asked maybe among them, may take from now on.

        Then `other` is asked as well, at once where the last one has failed. Without another there is no end, unless
        all others do not have the block: then who is left has as long again as it took to ask another one. By that
        measure it hangs; one that is slow by habit has more, since hedging runs out; and whoever asked asks again.
        """
        if other is None and not attempts.is_block_unknown:
            return None
        if other is not None and last not in running:
            return 0.0
        return hedge_seconds or self.unusual_seconds(last if last in running else next(iter(running)))
