"""Which of two words on an asset is the newer one: by the venue's own times where both have one, else by ours.

A venue's time is of the balance (when it changed, or as of when the venue says it), never only of the answer. It is
remembered apart from the amounts: a read without one does not take it away. Where a frame has a time and the read that
it contradicts has none, the frame is placed on our clock by how long frames take: one that came later than the others
happened earlier. While few were heard, all of them may have been late. Where nothing tells, the answer is neither the
one nor the other, and the wallet is asked. That a frame without a time says of something that it is gone is never
enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

from indexer.domain.accounts.amounts import Amounts, AssetBalance, Source

LATE_SECONDS: Final = 3.0
"""So long a frame may be on its way: one without a time, which contradicts an answer not older than this, is unsure."""

SOON_SECONDS: Final = 0.6
"""An answer may come from a part of the venue that is behind by so much: asked sooner than that after a newer word,
and without a time, it is unsure."""

TOGETHER_SECONDS: Final = 0.05
"""Frames of one moment (venues count milliseconds) come one after the other; what comes later than that was held up."""

OLD_ANSWER_SECONDS: Final = 10.0
"""No part of a venue is behind by more: then a time that went backwards is the venue's mistake, and the amounts are
right."""

WINDOW_SECONDS: Final = 600.0
"""How long frames take is known from this one and the one before: clocks drift."""

MANY_FRAMES: Final = 20
"""So many are not all late. Until they were heard nobody knows whether a venue's clock is behind or its frames are."""

Order = Literal["newer", "older", "unsure"]


@dataclass(frozen=True, slots=True)
class Known:
    """The newest word on one asset. `as_of`: what was asked before that moment is older than this.

    `by`: who said so last; a frame may repeat a part of what an answer told, which `held` shows as that answer's.
    """

    held: AssetBalance
    by: Source
    as_of: float
    seen: float = float("-inf")
    """When it reached us; for an answer that is later than `as_of`, and it may be from any moment in between."""
    newest: datetime | None = None
    """The newest of the venue's times that was ever said of this asset; `held` may be a later word without one."""
    answered: float = float("-inf")
    """When an answer said so last; a frame that repeats it takes nothing away from that."""
    set_back: float = float("-inf")
    """When it was found that the venue's clock had gone back: `newest` is a time of the clock as it goes since."""


class Word(NamedTuple):
    """When something was said of one asset: it happened by `happened`, our time, not before `earliest` or `since`."""

    source: Source
    asked: float
    earliest: float
    happened: float
    venue_time: datetime | None
    since: float = float("-inf")
    is_nothing: bool = False
    """It says that the asset is gone."""


def compared(word: Word, known: Known) -> Order:
    """Whether this word is newer than what is known; only of interest where it says otherwise."""
    theirs, ours = word.venue_time, known.held.venue_time
    if theirs is not None and known.newest is not None and theirs < known.newest:
        is_behind = word.source == "stream" or word.asked - known.seen < OLD_ANSWER_SECONDS
        return "older" if is_behind else "newer"
    if theirs is not None and ours is not None and theirs > ours:
        return "unsure" if _is_of_the_clock_before(word, theirs, known) else "newer"
    if word.asked < known.as_of:
        return "older"
    return _by_our_clock(word, known)


def _is_of_the_clock_before(word: Word, theirs: datetime, known: Known) -> bool:
    """Soon after a venue's clock went back: whether this frame is ahead of what the clock can show by now."""
    since = word.asked - known.set_back
    if word.source == "rest" or since > LATE_SECONDS or known.newest is None:
        return False
    return (theirs - known.newest).total_seconds() > since + LATE_SECONDS / 2


def _by_our_clock(word: Word, known: Known) -> Order:
    """It reached us after what is known, which says little: an answer and a frame come by different ways."""
    if word.source == "rest":
        return "unsure" if word.asked - known.seen < SOON_SECONDS else "newer"
    if word.since != float("-inf"):
        return "newer" if word.since >= known.seen else "unsure"  # the first of a subscription was made for it
    if word.venue_time is None:
        return "unsure" if word.is_nothing or word.asked - known.answered < LATE_SECONDS else "newer"
    return _after_a_frame(word, known) if known.by == "stream" else _after_an_answer(word, known)


def _after_a_frame(word: Word, known: Known) -> Order:
    """Frames come in their order, but for those of the subscription before: what one begins with has no time.

    It is of any moment between the question and its arrival, as an answer is.
    """
    if known.held.venue_time is None:
        return _between(word, known)
    is_held_up = TOGETHER_SECONDS < word.asked - known.seen < LATE_SECONDS
    return "unsure" if word.venue_time == known.held.venue_time and is_held_up else "newer"


def _after_an_answer(word: Word, known: Known) -> Order:
    """An answer may be from any moment between the question and its arrival."""
    return "older" if word.venue_time == known.held.venue_time else _between(word, known)


def _between(word: Word, known: Known) -> Order:
    if word.happened < known.as_of:
        return "older"
    return "unsure" if word.earliest < known.seen else "newer"


def newest(word: datetime | None, known: Known | None) -> datetime | None:
    before = None if known is None else known.newest
    if word is None or before is None:
        return before if word is None else word
    return max(word, before)


def contradicts(one: Amounts, other: Amounts) -> bool:
    """Whether any part that both say is different."""
    return any(
        mine is not None and theirs is not None and mine != theirs for mine, theirs in zip(one, other, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Lag:
    """The least time between a venue's word and its arrival, by two clocks that may be apart."""

    least: float = float("inf")
    before: float = float("inf")
    """In the window before."""
    since: float = float("-inf")
    heard: int = 0
    heard_before: int = 0

    def with_one(self, seconds: float, now: float) -> Lag:
        if now - self.since < WINDOW_SECONDS:
            return Lag(min(self.least, seconds), self.before, self.since, self.heard + 1, self.heard_before)
        if now - self.since < 2 * WINDOW_SECONDS:
            return Lag(seconds, self.least, now, 1, self.heard)
        return Lag(seconds, since=now, heard=1)

    def beyond(self, seconds: float) -> float:
        """So much longer than the fastest did this one take; until one was heard, both clocks are taken for right."""
        least = min(self.least, self.before)
        return max(0.0, seconds - (0.0 if least == float("inf") else least))

    def at_most(self, seconds: float) -> float:
        """So long it was on its way if all were late, as few may be; no longer where the clocks may be right."""
        beyond = self.beyond(seconds)
        if self.heard + self.heard_before >= MANY_FRAMES:
            return beyond
        is_apart = min(seconds, self.least, self.before) < 0.0 or seconds > LATE_SECONDS
        return max(beyond, LATE_SECONDS) if is_apart else seconds
