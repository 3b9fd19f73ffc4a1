"""Orders to fill history, and how far each got."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, takewhile
from types import MappingProxyType
from typing import Final, Literal

from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Address, BlockHash, BlockRef, Holding
from indexer.domain.recording.records import BalanceRecord

JobState = Literal["queued", "collecting", "telling", "settling", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The oldest record of a balance above what is to be filled."""

    number: int
    balance: int
    is_open: bool
    """It was the first of all, or the first after a resync or a time in which nobody watched: its change refers to
    nothing that is known to be right below it."""
    hash: BlockHash | None = None
    """Of its block."""
    change: int | None = None
    """What it says that it changed. Stores of before have none."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Somewhere a reorg may part: a block of the branch that a job tells, and what it had told up to there."""

    block: BlockRef
    rests: Mapping[Holding, int] = field(default_factory=dict)
    """By balance the newest block of which it told a record, of those above the stage below."""
    carried: frozenset[Holding] | None = None
    """Those of which there are logs up to here that no record accounts for; nothing while that is not known."""


MOST_RESTS: Final = 2_000
"""Of all stages of a job, which is one document. With more, a reorg takes back all above the settled block."""


def stages_of(branch: Sequence[BlockRef], settled: int) -> tuple[Stage, ...]:
    """The lowest first: 1, 2, 4 ... below the highest block; so that little more is taken back than was replaced."""
    blocks = {block.number: block for block in branch}
    highest = max(blocks, default=settled)
    depths = takewhile(lambda depth: highest - depth > settled, (2**power for power in count()))
    return tuple(Stage(blocks[highest - depth]) for depth in depths if highest - depth in blocks)[::-1]


def rests_of(stages: Iterable[Stage], below: Mapping[Holding, int] = MappingProxyType({})) -> dict[Holding, int]:
    """Of all of them together, from the lowest up."""
    rests = dict(below)
    for stage in stages:
        rests.update(stage.rests)
    return rests


def anchor_at(record: BalanceRecord) -> Anchor:
    return Anchor(record.block.number, record.balance, record.is_open, record.block.hash, record.change)


@dataclass(frozen=True, slots=True)
class Job:
    """An order to fill history, and how far it got; `last` is the highest block wanted, none means up to the records.

    `top` and `cursor` bound what is to be collected still: everything above `cursor` up to `top` is there.
    """

    id: str
    chain_id: int
    first: int
    last: int | None
    holdings: tuple[Holding, ...]
    """Those that there is something to fill of."""
    wanted: tuple[Holding, ...] = ()
    """Those that were ordered."""
    state: JobState = "queued"
    anchors: Mapping[Holding, Anchor] = field(default_factory=dict)
    """While it is queued: those of the job in whose place it came, below which that has taken everything back."""
    top: int = 0
    cursor: int = 0
    unread: int | None = None
    told: int | None = None
    """Up to this block everything is told."""
    seq: int = 0
    """The last number of the stream before this job told anything."""
    records: int = 0
    derived: int = 0
    reasons: Mapping[Holding, str] = field(default_factory=dict)
    error: str | None = None
    settled: int = 0
    """Above this block a reorg may take back what was filled: it is looked at again until it cannot."""
    base: BlockRef | None = None
    """The block at `settled`, or the highest one if that is below.

    Where another one is in its place, an endpoint on a fork had filled what is below.
    """
    highest: BlockRef | None = None
    created: int = 0
    ended: int | None = None
    ordered_from: int | None = None
    """The first block that was ordered, where nobody has the logs from there up to below `first` any more."""
    filled_from: int | None = None
    """Those in whose place this one came have filled everything from here up to below the first block."""
    grounds: tuple[Stage, ...] = ()
    """Stages of theirs up to the first block, the lowest first.

    Where the last is not canonical by now, or what was told up to there is gone, the one before is what is left.
    """
    rests: Mapping[Holding, int] = field(default_factory=dict)
    """By balance the newest block up to `settled` of which it told a record: a deeper reorg cuts that off, too."""
    stages: tuple[Stage, ...] = ()
    """Above the settled block, the lowest first: where a reorg parts above one of them, what is below it stays."""
    in_place_of: str | None = None
    """The job that a reorg took back. Others wait for this one: they would go on from what is missing until then."""
    after: BlockRef | None = None
    """The chain was followed up to this block, and passed over those above it, which this order was made to fill."""
    trailing: frozenset[Holding] = frozenset()
    """Those of them of which there are logs up to that block that no record accounts for."""

    @property
    def turn(self) -> tuple[int, int, int, str]:
        """Sorts jobs as they are worked off.

        First what fills again what was taken back, from the lowest up; then what the chain passed over while it was
        followed; last what somebody ordered, which may be years.
        """
        if self.in_place_of is not None:
            return 0, self.first, self.created, self.id
        return 2 if self.after is None else 1, 0, self.created, self.id

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "failed")

    @property
    def is_filling(self) -> bool:
        """There is work left now: not over, nor merely waiting until no reorg can reach it."""
        return not self.is_over and self.state != "settling"

    @property
    def is_told(self) -> bool:
        """To its end; one whose branch was gone before that is over all the same, and is filled again."""
        return self.highest is not None and self.told is not None and self.told >= self.highest.number

    @property
    def remaining(self) -> int:
        """Blocks that nobody has looked at yet; not known before the job begins."""
        return max(0, self.cursor - self.first + 1) if self.state == "collecting" else 0

    @property
    def begins(self) -> int:
        """As it was ordered."""
        return self.first if self.ordered_from is None else self.ordered_from

    def without_logs_below(self, first: int) -> Job:
        """As if it had been ordered from there on: nobody has logs of what is below.

        A record that is not above it has nothing to be filled below.
        """
        anchors = {holding: anchor for holding, anchor in self.anchors.items() if anchor.number > first}
        return replace(
            self,
            first=first,
            ordered_from=self.begins,
            holdings=tuple(sorted(anchors)) or self.holdings,
            anchors=anchors,
            reasons={**self.reasons, **dict.fromkeys(self.anchors.keys() - anchors, _logs_gone(first))},
            base=None if self.base is None or self.base.number < first else self.base,
            highest=self.highest if anchors else None,
        )

    @property
    def missing(self) -> str | None:
        """What nobody can tell of that was ordered."""
        if self.ordered_from is not None:
            return _logs_gone(self.first)
        if self.is_native and self.unread is not None:
            return f"native balances up to block {self.unread} cannot be read: the node has no state there"
        return None

    def again_from(self, first: int, stage: Stage | None = None) -> Job:
        """What of it has to be redone, after a reorg took that back; `stage` is the highest that is left, if one is."""
        if first == self.first:
            return self
        told = self.first if self.filled_from is None else self.filled_from
        told = told if self.unread is None else max(told, self.unread + 1)
        own = () if self.base is None else (Stage(self.base, {key: n for key, n in self.rests.items() if n < first}),)
        above = () if stage is None else self.stages[: self.stages.index(stage) + 1]
        grounds = tuple(each for each in (*self.grounds, *own, *above) if each.block.number >= told)
        return replace(self, first=first, filled_from=told, grounds=grounds, stages=())

    def told_to(self, stage: Stage) -> Mapping[Holding, int]:
        """By balance the newest block up to this stage of which it told a record."""
        return rests_of(self.stages[: self.stages.index(stage) + 1], self.rests)

    def lowered(self) -> Job:
        """Where its ground is gone: from the next lower one, or from where the first order began."""
        if len(self.grounds) > 1:
            return replace(self, first=self.grounds[-2].block.number + 1, grounds=self.grounds[:-1])
        first = self.first if self.filled_from is None else self.filled_from
        return replace(self, first=first, filled_from=None, grounds=())

    def with_rows(self, rows: Iterable[tuple[Holding, int]]) -> Job:
        """With the blocks of records that it told just now, from the oldest up."""
        rests, above = dict(self.rests), [dict(stage.rests) for stage in self.stages]
        for holding, number in rows:
            if number <= self.settled:
                rests[holding] = number
                continue
            place = next((i for i, stage in enumerate(self.stages) if number <= stage.block.number), None)
            if place is not None:
                above[place][holding] = number
        stages = tuple(replace(stage, rests=told) for stage, told in zip(self.stages, above, strict=True))
        return replace(self, rests=rests, stages=stages if sum(map(len, above)) <= MOST_RESTS else ())

    def without_rows(self) -> Job:
        return replace(self, rests={}, stages=tuple(replace(stage, rests={}) for stage in self.stages))

    @property
    def goes_on(self) -> bool:
        """Records from before hold up to the first block: all below it was followed, or was filled since.

        Where it could not be filled from the bottom on, nobody knows what was in between.
        """
        start = self.first if self.filled_from is None else self.filled_from
        return self.after is not None and start == self.after.number + 1

    def is_accounted_for(self, holding: Holding, since: int) -> bool:
        """No log between the record from before, of block `since`, and the first block is missing in a record."""
        if self.filled_from is not None:
            ground = self.grounds[-1] if self.grounds else None
            if ground is None or ground.carried is None or ground.block.number != self.first - 1:
                return False
            return holding not in ground.carried and since >= self.filled_from
        return self.goes_on and holding not in self.trailing

    def as_order(self, in_place_of: str) -> Job:
        """To be filled once more, from what is known of it.

        Without an upper end: the records above it that it was joined to may be gone as well.
        """
        return Job(
            id="",
            chain_id=self.chain_id,
            first=self.first,
            last=None,
            holdings=self.holdings,
            anchors=self.anchors,
            filled_from=self.filled_from,
            grounds=self.grounds,
            in_place_of=in_place_of,
            after=self.after,
            trailing=self.trailing,
        )

    @property
    def is_native(self) -> bool:
        """A job is about native balances alone, or about tokens alone: logs tell nothing of the former."""
        return self.holdings[0].token == NATIVE

    @property
    def watch(self) -> Watch:
        return Watch(
            tokens=frozenset(Address(holding.token) for holding in self.holdings if holding.token != NATIVE),
            solvers=frozenset(holding.solver for holding in self.holdings),
        )

    def floor_of(self, holding: Holding) -> int:
        """The block above which the record is looked for that this balance's history is walked back from.

        Records below that other orders led to may say what they changed, while the ones before them are gone.
        """
        if self.last is not None:
            return self.last
        below = self.first - 1
        return max(below, self.end_of(holding)) if holding in self.anchors else below

    def end_of(self, holding: Holding) -> int:
        """The highest block of which this balance gets a record."""
        below = self.anchors[holding].number - 1
        return below if self.last is None else min(below, self.last)

    @property
    def progress(self) -> float:
        """From 0 to 1; collecting is taken for four fifths of the work."""
        if self.state in ("settling", "done"):
            return 1.0
        span = max(1, self.top - self.first + 1)
        if self.state == "telling":
            told = self.first - 1 if self.told is None else self.told
            return 0.8 + 0.2 * min(1.0, (told - self.first + 1) / span)
        return 0.8 * (self.top - self.cursor) / span if self.state == "collecting" else 0.0


def _logs_gone(first: int) -> str:
    return f"its logs up to block {first - 1} are gone: no endpoint has them any more"
