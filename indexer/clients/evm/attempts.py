"""How one question has fared so far: who could not answer it, who answered nonsense, and how long is left."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from indexer.clients.evm.calls import TakenApart
from indexer.errors import IndexerError, StateMissing


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

    def last_word(self) -> IndexerError:
        """What to say when all that are well said no: first what can be asked in another way.

        One that lags may have it in a moment: that it was pruned elsewhere is not the last word. One that was set
        aside may never have it: then it is.
        """
        well = [denial for name, denial in self.denials.items() if name not in self.aside]
        return min(well or self.denials.values(), key=_weight)


def _weight(denial: IndexerError) -> int:
    return 0 if isinstance(denial, TakenApart) else 1 + isinstance(denial, StateMissing)
