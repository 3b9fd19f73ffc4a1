"""How one question has fared so far: who could not answer it, who answered nonsense, and how long is left."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from indexer.clients.evm.calls import TakenApart
from indexer.errors import BlockUnknown, IndexerError, StateMissing

STANDOFF_SECONDS = 30.0
"""Whoever merely lags has a block sooner; from then on state that is gone is said to be gone."""

STANDOFF_PAUSE_SECONDS = 20.0
"""Questions are put again sooner than that."""


@dataclass(slots=True)
class Attempts:
    """By the names of endpoints. `rather_not` has answered it already, and is asked after the others."""

    deadline: float
    rest_seconds: float | None
    rather_not: str | None = None
    denials: dict[str, IndexerError] = field(default_factory=dict)
    aside: set[str] = field(default_factory=set)
    """Who of them had been set aside when it denied."""
    faults: Counter[str] = field(default_factory=Counter)

    def last_word(self, standoff: Standoff, now: float) -> IndexerError:
        """What to say when all that are well said no: first what can be asked in another way.

        One that lags may have it in a moment: that it was pruned elsewhere is not the last word. One that was set
        aside may never have it: then it is, and also where it has not come for long.
        """
        well = [denial for name, denial in self.denials.items() if name not in self.aside]
        word = min(well or self.denials.values(), key=_weight)
        pruned = next((denial for denial in well if isinstance(denial, StateMissing)), None)
        is_standoff = pruned is not None and isinstance(word, BlockUnknown)
        return pruned if pruned is not None and is_standoff and standoff.lasts(now) else word


@dataclass(slots=True)
class Standoff:
    """One endpoint has pruned what is asked for, and another one does not have it yet: for how long."""

    _since: float = float("-inf")
    _last: float = float("-inf")

    def lasts(self, now: float) -> bool:
        """Asked whenever it is so; whether it was so all along for too long."""
        if now - self._last > STANDOFF_PAUSE_SECONDS:
            self._since = now
        self._last = now
        return now - self._since > STANDOFF_SECONDS


def _weight(denial: IndexerError) -> int:
    return 0 if isinstance(denial, TakenApart) else 1 + isinstance(denial, StateMissing)
