"""One JSON-RPC call, what came back for it, and a plan: calls together with how to read their replies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar

from indexer.clients.evm.asking.provenance import FACTS, Fact, Words, proven
from indexer.clients.evm.asking.wording import TimedOut
from indexer.domain.chain import Head, KnownBlock
from indexer.errors import IndexerError, ResponseTooLarge, Transient

T = TypeVar("T")

_SMALL: Final = 150
"""About the bytes of a call without long parameters."""


@dataclass(frozen=True, slots=True)
class Call:
    """A method and its parameters, which may hold parts that are encoded already; `size` in bytes, roughly.

    `of_range`: it asks for the logs of several blocks, so that "limit exceeded" means fewer blocks, not slower.
    """

    method: str
    params: Sequence[Any] = ()
    size: int = _SMALL
    of_range: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """The result of one call, or why there is none."""

    result: Any = None
    error: IndexerError | None = None

    def get(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.result


@dataclass(frozen=True, slots=True)
class Plan(Generic[T]):
    """Calls that belong together, and what their replies (as many, in this order) mean."""

    calls: Sequence[Call]
    read: Callable[[Sequence[Reply]], T]
    together: bool = False
    """One call proves what the other says, which holds only when the same node answers both: in one request, or not.

    A refusal of both at once may be one of either: then they are put alone, to find out which.
    """


Limit = Literal["natives", "pairs", "filter", "batch", "bytes", "overrides"]

_PLAIN_FOR: Final = 1_000
"""So many questions are put without state overrides after one was refused, in case that was an accident."""

_FEW: Final = 50
_LITTLE: Final = 50_000
"""What is not above these is not made smaller because the endpoint was slow: then it is ill, not overburdened."""

_FEW_CALLS: Final = 10
_LEAST: Final[dict[str, int]] = {"natives": _FEW, "pairs": _FEW, "filter": 100}
"""The same where it says that its time was up: less would make hundreds of calls out of one."""

_GROWING: Final = ("natives", "pairs", "filter", "batch", "bytes")


class TooMuch(ResponseTooLarge):
    """One limit of the endpoint is lower than we thought; `fits` is how many would pass, where it is known."""

    def __init__(self, message: str, limit: Limit, tried: int, fits: int | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        self.tried = tried
        self.fits = fits


class TookLong(TimedOut):
    """Its time was up for a question whose size by one of the limits is known."""

    def __init__(self, message: str, limit: Limit, tried: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.tried = tried


class RangeTimedOut(TimedOut):
    """Its time was up for the logs of several blocks: fewer may pass."""


class TakenApart(Transient):
    """The endpoint does not take two calls at once, and behind its address one node may answer each."""


@dataclass(slots=True)
class Limits:
    """How much one endpoint takes at once, as far as we found out."""

    natives: int = 2_000
    pairs: int = 500
    filter: int = 1_000
    batch: int = 500
    bytes: int = 2_000_000
    overrides: int = 0
    """For how many more questions we do without state overrides."""
    doubted: frozenset[Fact] = frozenset()
    """What its programs say of the block they run at, and what means something else there."""
    fitting: frozenset[Fact] = frozenset()
    """What was a block's own in answers about two blocks: it never means anything else here, whatever comes later."""
    eased: dict[str, int] = field(default_factory=dict)
    """What is less than it was because the endpoint was slow, or said that its time was up: how much it was."""
    _fits: tuple[int, frozenset[Fact]] | None = None

    def takes_overrides(self) -> bool:
        self.overrides = max(0, self.overrides - 1)
        return self.overrides == 0

    def fitted(self, block: KnownBlock, facts: Words) -> None:
        """An answer that contradicted nothing; at one block alone it may have been by chance."""
        if len(self.fitting) == len(FACTS) or not isinstance(block, Head) or not block.number:
            return
        fits = proven(block, facts)
        if self._fits is not None and self._fits[0] != block.number:
            self.fitting |= fits & self._fits[1]
        self._fits = (block.number, fits)

    def lower(self, problem: TooMuch) -> bool:
        """Remember what passes; False when there is nothing left to lower."""
        if problem.limit == "overrides":
            self.overrides = _PLAIN_FOR
            return True
        now: int = getattr(self, problem.limit)
        if problem.tried <= 1:
            return False
        fits = problem.tried // 2 if problem.fits is None else problem.fits
        setattr(self, problem.limit, max(1, min(now, fits)))
        self.eased.pop(problem.limit, None)
        if problem.limit == "bytes":
            # A single call may be what is too long, and only its own parts can be made fewer.
            for name in ("natives", "pairs", "filter"):
                setattr(self, name, max(1, getattr(self, name) // 2))
                self.eased.pop(name, None)
        return True

    def ease(self, calls: Sequence[Call]) -> bool:
        """After no answer in time, ask for less where it was much; whether it was."""
        size = sum(call.size for call in calls)
        if len(calls) <= _FEW and size <= _LITTLE:
            return False
        self._ease("batch", max(_FEW, len(calls) // 2))
        self._ease("bytes", max(_LITTLE, size // 2))
        self._ease("natives", max(_FEW, self.natives // 2))
        self._ease("pairs", max(_FEW, self.pairs // 2))
        return True

    def ease_for(self, problem: TimedOut, together: int) -> bool:
        """After its time was up, ask for less where it was much: first for fewer of so many calls in one request.

        Where even little takes too long, size was not the matter, and nothing is lowered for it.
        """
        if together > _FEW_CALLS:
            return self._ease("batch", max(_FEW_CALLS, together // 2))
        if isinstance(problem, TookLong) and problem.tried > _LEAST.get(problem.limit, problem.tried):
            return self._ease(problem.limit, max(_LEAST[problem.limit], problem.tried // 2))
        for name, wide in self.eased.items():
            setattr(self, name, wide)
        self.eased.clear()
        return False

    def _ease(self, name: str, most: int) -> bool:
        now: int = getattr(self, name)
        if most < now:
            self.eased.setdefault(name, now)
            setattr(self, name, most)
        return True

    def recover(self) -> bool:
        """Twice as much of what was eased; whether any is less still."""
        for name, wide in [*self.eased.items()]:
            setattr(self, name, min(wide, 2 * getattr(self, name)))
            if getattr(self, name) == wide:
                del self.eased[name]
        return bool(self.eased)

    def grow(self) -> bool:
        """Twice as much as it took when it was not slow, up to what we began with; whether any is less still."""
        is_less = False
        for name in _GROWING:
            first: int = getattr(_FIRST, name)
            wider = min(first, 2 * self.eased.get(name, getattr(self, name)))
            if name in self.eased:
                self.eased[name] = wider
            else:
                setattr(self, name, wider)
            is_less = is_less or wider < first
        return is_less


_FIRST: Final = Limits()


def joined(plans: Sequence[Plan[T]]) -> Plan[list[T]]:
    """Several plans as one, so that they travel together."""
    ends: list[int] = []
    for plan in plans:
        ends.append((ends[-1] if ends else 0) + len(plan.calls))

    def read(replies: Sequence[Reply]) -> list[T]:
        return [plan.read(replies[end - len(plan.calls) : end]) for plan, end in zip(plans, ends, strict=True)]

    return Plan([call for plan in plans for call in plan.calls], read)


def trips(calls: Sequence[Call], limits: Limits, most: int | None = None) -> list[Sequence[Call]]:
    """As few round trips as the endpoint's limits allow, none of more than `most` calls."""
    batch = limits.batch if most is None else min(limits.batch, most)
    found: list[Sequence[Call]] = []
    start = size = 0
    for index, call in enumerate(calls):
        if index > start and (index - start >= batch or size + call.size > limits.bytes):
            found.append(calls[start:index])
            start, size = index, 0
        size += call.size
    if start < len(calls):
        found.append(calls[start:])
    return found
