"""Moments that all have in common: who wakes together with others costs a fraction of who wakes alone."""

from __future__ import annotations

import math
from typing import Final

BEAT_SECONDS: Final = 0.25
"""An idle core takes longer to wake up than most of us do for what they do then."""


def beat_from(moment: float, beat: float = BEAT_SECONDS) -> float:
    """The first of these moments that is not before this one."""
    return math.ceil(moment / beat) * beat


def beat_near(moment: float, beat: float = BEAT_SECONDS) -> float:
    """The one that is nearest: what is done again and again keeps its pace."""
    return round(moment / beat) * beat
