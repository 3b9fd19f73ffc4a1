"""What a chain's ears say: heads, and whether anybody can be heard at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from indexer.domain.chain import Head

HeadSource = Literal["ws", "poll"]


@dataclass(frozen=True, slots=True)
class HeadHeard:
    """A node announced (or, asked, answered) this as its newest block."""

    head: Head
    source: HeadSource


@dataclass(frozen=True, slots=True)
class HeadsLost:
    """No source of heads answers, or none that can be trusted."""

    reason: str
    is_wrong_chain: bool = False
    """Somebody answers, but nobody of our chain; said anew when it becomes so."""


@dataclass(frozen=True, slots=True)
class HeadsBack:
    """A source of heads answers again."""

    source: HeadSource


FeedEvent = HeadHeard | HeadsLost | HeadsBack
