"""What can go wrong at a venue, how often, and the dice that decide it from a seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from random import Random


@dataclass(frozen=True, slots=True)
class Faults:
    """Each a rate between 0 and 1, drawn for every request, every frame or every frame's socket."""

    # Answers, at most one for a request.
    stale: float = 0.05
    empty_answer: float = 0.01
    empty_body: float = 0.01
    not_json: float = 0.01
    empty_balances: float = 0.02
    throttled: float = 0.02
    unavailable: float = 0.02
    html: float = 0.01
    floats: float = 0.02
    slow: float = 0.05
    lost_connection: float = 0.02
    expired_key: float = 0.0
    # Frames.
    drop: float = 0.02
    duplicate: float = 0.03
    reorder: float = 0.03
    late: float = 0.03
    early_delta: float = 0.1
    # Sockets, drawn with every frame.
    mute: float = 0.01
    deaf: float = 0.005
    cut: float = 0.01
    half_close: float = 0.005
    # How long what lasts.
    stale_seconds: float = 0.5
    slow_seconds: float = 0.3
    late_seconds: float = 0.2
    retry_after_seconds: float = 1.0


LASTING = ("stale_seconds", "slow_seconds", "late_seconds", "retry_after_seconds")
ANSWER_FAULTS = (
    "lost_connection",
    "slow",
    "html",
    "unavailable",
    "throttled",
    "not_json",
    "empty_body",
    "empty_answer",
    "empty_balances",
    "stale",
    "floats",
    "expired_key",
)
SOCKET_FAULTS = ("cut", "half_close", "mute", "deaf")

NONE = Faults(**{field.name: 0.0 for field in fields(Faults) if field.name not in LASTING})
"""An honest venue."""


def drawn(random: Random) -> Faults:
    """Some runs are calm in most respects, some are bad in all: each rate is scaled by its own draw."""
    usual = Faults()
    rates = (field.name for field in fields(Faults) if field.name not in LASTING)
    return Faults(**{name: min(getattr(usual, name) * random.choice((0, 0, 0.3, 1, 3)), 1.0) for name in rates})


@dataclass(frozen=True, slots=True)
class Scripted:
    """A fault that is certain for the next requests to a path."""

    name: str
    path: str
    times: int


class Dice:
    """Draws from a seed; what is scripted comes before what is drawn."""

    def __init__(self, seed: int, faults: Faults = NONE) -> None:
        self.faults = faults
        self.injected: Counter[str] = Counter()
        self._requests = Random(f"{seed} requests")  # noqa: S311 - dice, not keys
        self._frames = Random(f"{seed} frames")  # noqa: S311 - dice, not keys
        self._scripted: tuple[Scripted, ...] = ()

    def script(self, name: str, path: str, times: int) -> None:
        if name not in ANSWER_FAULTS:
            raise ValueError(f"{name} is no fault of an answer; there are {', '.join(ANSWER_FAULTS)}")
        self._scripted = (*self._scripted, Scripted(name, path, times))

    def forget(self) -> None:
        """Nothing is scripted any more."""
        self._scripted = ()

    def request(self, path: str) -> str | None:
        """The fault of this request, if it has one."""
        found = self._from_script(path) or next(
            (name for name in ANSWER_FAULTS if self._requests.random() < getattr(self.faults, name)), None
        )
        if found is not None:
            self.injected[found] += 1
        return found

    def frame(self, name: str) -> bool:
        """Whether this happens to this frame."""
        rate = getattr(self.faults, name)
        hit = bool(rate) and self._frames.random() < rate
        if hit:
            self.injected[name] += 1
        return hit

    def _from_script(self, path: str) -> str | None:
        for index, each in enumerate(self._scripted):
            if each.path in path:
                left = (Scripted(each.name, each.path, each.times - 1),) if each.times > 1 else ()
                self._scripted = (*self._scripted[:index], *left, *self._scripted[index + 1 :])
                return each.name
        return None
