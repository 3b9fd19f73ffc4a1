"""What goes wrong, how often: one rate per kind, all drawn from the run's seed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random


@dataclass(frozen=True)
class Faults:
    """Chances between 0 and 1, per call, head or block."""

    reorg: float = 0.05
    deep_reorg: float = 0.0
    skipped_head: float = 0.05
    repeated_head: float = 0.05
    late_head: float = 0.05
    unreachable: float = 0.03
    throttled: float = 0.02
    bad_answer: float = 0.02
    lagging: float = 0.05
    slow: float = 0.1
    store_down: float = 0.02
    store_lost_answer: float = 0.02
    kill: float = 0.02
    lost_feed: float = 0.01
    step_down: float = 0.02
    lost_connection: float = 0.05
    slow_reader: float = 0.02


NONE = Faults(**{field.name: 0.0 for field in fields(Faults)})


def drawn(random: Random) -> Faults:
    """Some runs are calm in most respects, some are bad in all: each rate is scaled by its own draw."""
    scaled = {field.name: getattr(Faults(), field.name) * random.choice((0, 0, 0.3, 1, 3)) for field in fields(Faults)}
    return Faults(**{**scaled, "deep_reorg": random.choice((0.0, 0.0, 0.0, 0.01))})
