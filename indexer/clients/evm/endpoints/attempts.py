"""How one question has fared so far: who could not answer it, who answered nonsense, and how long is left."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from indexer.clients.evm.asking.calls import RangeTimedOut, TakenApart
from indexer.errors import BlockUnknown, IndexerError, StateMissing, Unheard

STANDOFF_SECONDS = 30.0
"""Whoever merely lags has a block sooner; from then on state that is gone is said to be gone."""

STANDOFF_PAUSE_SECONDS = 20.0
"""Questions are put again sooner than that."""

STUMBLES: Final = 8
"""Failures in a row of the only endpoint that is left: with one bad answer in five, that is so once in 400,000."""
_FAULTS: Final = 3
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 0.2


class Behind(BlockUnknown):
    """The endpoint's newest block is far below what others told us already."""


@dataclass(slots=True)
class Attempts:
    """By the names of endpoints. `rather_not` has answered it already, and is asked after the others.

    With `rest_seconds`, only so long from when all have failed.
    """

    deadline: float
    rest_seconds: float | None
    rather_not: str | None = None
    denials: dict[str, IndexerError] = field(default_factory=dict)
    aside: set[str] = field(default_factory=set)
    """Who of them had been set aside when it denied."""
    unheard: list[str] = field(default_factory=list)
    """Who kept us waiting when all others had said that they do not have the block."""
    faults: Counter[str] = field(default_factory=Counter)
    """How often an endpoint failed that is not lost for it."""
    again_at: float = float("-inf")
    """When to ask one again that failed, and is the only one that is left."""
    all_failed: bool = False
    _stumbles: int = 0

    def fail_soon(self, now: float, longer_seconds: float = 0.0) -> None:
        """All have failed: from now on time is short, for whoever said so."""
        if self.rest_seconds is not None and not self.all_failed:
            self.all_failed = True
            self.deadline = min(self.deadline, now + max(self.rest_seconds, longer_seconds))

    def stumbled(self, now: float, chance: float) -> None:
        """The only one that is left failed: once it is asked again at once, then after pauses that grow a little."""
        self.fail_soon(now)
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (self._stumbles - 1)) if self._stumbles else 0.0
        self._stumbles += 1
        self.again_at = now + pause * (0.5 + chance / 2)

    def has_too_many_faults(self, endpoints: int) -> bool:
        """Where time is bounded anyway, an endpoint is asked until it would be lost."""
        return self.faults.total() >= endpoints * (_FAULTS if self.rest_seconds is None else STUMBLES)

    @property
    def is_block_unknown(self) -> bool:
        """Whether all that said no do not have the block, one that was not set aside among them.

        A pruned state does not count, nor does a newest block far below: from those, conclusions are drawn.
        """
        return self.denials.keys() > self.aside and all(
            isinstance(denial, BlockUnknown) and not isinstance(denial, Behind) for denial in self.denials.values()
        )

    def last_word(self, standoff: Standoff, now: float) -> IndexerError:
        """What to say when all that are well said no: first what can be asked in another way.

        One that lags may have it in a moment: that it was pruned elsewhere is not the last word. One that was set
        aside may never have it: then it is, and also where it has not come for long.
        """
        well = [denial for name, denial in self.denials.items() if name not in self.aside]
        word = min(well or self.denials.values(), key=_weight)
        pruned = next((denial for denial in well if isinstance(denial, StateMissing)), None)
        is_standoff = pruned is not None and isinstance(word, BlockUnknown)
        if self.unheard and isinstance(word, BlockUnknown):
            return Unheard(f"{word}; no answer from {', '.join(self.unheard)}")
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
    return 0 if isinstance(denial, TakenApart | RangeTimedOut) else 1 + isinstance(denial, StateMissing)
