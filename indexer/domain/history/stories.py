"""The balances of one job while they are told: what waits to be committed, and up to where each is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from indexer.domain.balances import Finality, told
from indexer.domain.chain import BlockRef, Holding, TokenInfo
from indexer.domain.history.backfill import Change
from indexer.domain.history.crossings import Crossed
from indexer.domain.history.jobs import Job, Stage
from indexer.domain.history.trails import MOST_LOGS_IN_ALL
from indexer.domain.history.walks import Teller
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.telling.facts import HistoryFilled, HistoryRow

COMMIT_ROWS = 500
"""Records in one commit: it is written, told and projected in steps of a few milliseconds."""

COMMIT_LOGS = 5_000
"""Logs in one commit, 0.1 to 0.3 KB each; a document holds 16 MB."""


@dataclass(frozen=True, slots=True)
class Depths:
    """How final blocks are just now; above `settled` a reorg may reach."""

    safe: int
    finalized: int
    settled: int
    by: BlockRef | None = None
    """The block that says so. Whoever does not have it may stand still on a branch that was left."""
    newest: BlockRef | None = None

    def of(self, number: int) -> Finality:
        return "finalized" if number <= self.finalized else "safe" if number <= self.safe else "latest"


@dataclass(slots=True)
class Story:
    """One balance; `told` is the last block that an event covers."""

    teller: Teller
    told: int
    rows: list[HistoryRow] = field(default_factory=list)
    change: Change | None = None
    """What the anchor's own block did."""
    crossed: dict[int, BalanceRecord] = field(default_factory=dict)
    """By block: records that there are already, in the midst of what is told."""


@dataclass(slots=True)
class Stories:
    """Takes changes from the oldest block up, and gives the facts that tell them."""

    job: Job
    depths: Depths
    infos: Mapping[str, TokenInfo]
    each: dict[Holding, Story] = field(default_factory=dict)
    _waiting: dict[Holding, None] = field(default_factory=dict)
    _joined: list[HistoryFilled] = field(default_factory=list)
    """What is told up to below a record that was crossed, and what that one changed."""
    _rows: int = 0
    _logs: int = 0
    _carried: int = 0
    _passed: dict[int, frozenset[Holding]] = field(default_factory=dict)
    """By stage of the job the balances of which logs wait there for a record."""

    @property
    def is_full(self) -> bool:
        return self._rows >= COMMIT_ROWS or self._logs >= COMMIT_LOGS

    def cross(self, crossed: Crossed) -> Crossed:
        """Those records that history is told through: all above where it goes on from what is recorded already."""
        for holding, story in self.each.items():
            unread = -1 if self.job.unread is None or story.teller.is_proven else self.job.unread
            story.crossed = {row.block.number: row for row in crossed.get(holding, ()) if row.block.number > unread}
        return {holding: tuple(story.crossed.values()) for holding, story in self.each.items() if story.crossed}

    def open(self, holding: Holding, block: BlockRef, read: int | None) -> None:
        """Where something was there before the first block: the record of it, as `read` at that block."""
        story = self.each[holding]
        if read is not None and story.teller.held is not None and story.teller.is_first:
            story.teller.held = read
        row = story.teller.open(block, self.depths.of(block.number), derived=read is None)
        if row is not None and story.told < block.number:
            story.rows.append(row)
            self._waiting[holding] = None
            self._rows += 1

    def take(self, change: Change) -> None:
        """One block's change of one balance: a record, or logs that the next record accounts for."""
        story, number = self.each[change.holding], change.block.number
        self._pass_stages(number)
        teller = story.teller
        if number == teller.anchor:
            story.change = change
        record = story.crossed.get(number)
        if record is not None and number != teller.opened:
            self._cross(story, record, change)
            return
        carried = len(teller.trail or ())
        row = teller.row(change, self.depths.of(number))
        self._carried += len(teller.trail or ()) - carried
        if self._carried > MOST_LOGS_IN_ALL:
            self._carried -= len(teller.trail or ())
            teller.trail = None
        if number > story.told:
            self._add(story, row, change)

    def staged(self, stages: Sequence[Stage]) -> tuple[Stage, ...]:
        """The same, once all is told, with what waits at each."""
        self._pass_stages(self.job.top + 1)
        return tuple(replace(stage, carried=self._passed.get(stage.block.number)) for stage in stages)

    def due(self, last: int) -> list[HistoryFilled]:
        """All records so far, as told up to the end of block `last`."""
        facts = [self._fact(holding, min(last, self.job.end_of(holding))) for holding in self._waiting]
        facts, self._joined = [*self._joined, *facts], []
        self._waiting, self._rows, self._logs = {}, 0, 0
        return facts

    def endings(self, holdings: Iterable[Holding], reasons: Mapping[Holding, str | None]) -> list[HistoryFilled]:
        """Each told to its end: without records where there were none, with the reason where the walk broke."""
        facts, self._joined = self._joined, []
        for holding in holdings:
            fact = self._fact(holding, self.job.end_of(holding))
            story, anchor = self.each[holding], self.job.anchors[holding]
            joins = fact.last == anchor.number - 1
            joint = story.teller.joint(anchor, story.change, holding) if joins else None
            facts.append(replace(fact, reason=reasons[holding], joint=joint, final=True))
        return facts

    def _pass_stages(self, number: int) -> None:
        """Changes come in the order of blocks; this is the first one above the stages below it."""
        while len(self._passed) < len(self.job.stages):
            stage = self.job.stages[len(self._passed)].block.number
            if stage >= number:
                return
            # Nothing is known of logs that nobody looked at, either.
            self._passed[stage] = frozenset(key for key, story in self.each.items() if story.teller.trail != ())

    def _cross(self, story: Story, record: BalanceRecord, change: Change) -> None:
        """It stays as it is, but for its change where that refers to something else; history goes on from it."""
        self._carried -= len(story.teller.trail or ())
        joint = story.teller.cross(record, change)
        if joint is None or record.block.number <= story.told:
            return
        fact = self._fact(change.holding, record.block.number - 1)
        self._joined.append(replace(fact, joint=joint))
        self._waiting.pop(change.holding, None)
        self._rows += 1
        self._logs += len(joint.transfers)

    def _add(self, story: Story, row: HistoryRow | None, change: Change) -> None:
        """A change in the very block that history begins with belongs to the record that is there already."""
        if story.rows and story.rows[-1].block == change.block:
            opening = story.rows.pop()
            self._rows -= 1
            row = (row or opening)._replace(
                change=opening.change, transactions=change.transactions, transfers=told(change.logs), unexplained=None
            )
        if row is not None:
            story.rows.append(row)
            self._waiting[change.holding] = None
            self._rows += 1
            self._logs += len(row.transfers)

    def _fact(self, holding: Holding, last: int) -> HistoryFilled:
        story = self.each[holding]
        first, rows = story.told + 1, tuple(story.rows)
        story.told, story.rows = last, []
        return HistoryFilled(
            chain_id=self.job.chain_id,
            holding=holding,
            first=min(first, last),
            last=last,
            rows=rows,
            info=self.infos.get(holding.token, TokenInfo()),
            job=self.job.id,
        )


def parts(facts: Sequence[HistoryFilled]) -> Iterator[list[HistoryFilled]]:
    """Facts that fit into one document together; one block can bring more logs than that."""
    part: list[HistoryFilled] = []
    logs = 0
    for fact in facts:
        size = sum(len(row.transfers) for row in fact.rows)
        if part and (logs + size > COMMIT_LOGS or len(part) == COMMIT_ROWS):
            yield part
            part, logs = [], 0
        part.append(fact)
        logs += size
    if part:
        yield part
