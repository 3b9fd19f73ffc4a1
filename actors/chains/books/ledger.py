"""What a chain's actor knows of its balances, and its one way to change that: a commit."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence

from actors.chains.books.loading import Begun, commits_since, last_life
from actors.chains.books.memory import Books, Checkpoints, CommitLog
from actors.chains.books.recent import Recent, Recorded
from actors.chains.books.settling import Settling
from actors.chains.books.writing import COMMIT_FACTS, Writer
from actors.clock import now
from actors.finishing import Finisher
from indexer.domain.balances import BalanceUpdated, Watch, differing
from indexer.domain.chain import BlockRef, Head, Holding, Transfer
from indexer.domain.following.finality import Settled
from indexer.domain.following.headchain import HeadChain
from indexer.domain.health.incidents import Incident, Incidents
from indexer.domain.health.unread import Unread
from indexer.domain.history.trails import MOST_LOGS_IN_ALL, Trails
from indexer.domain.recording.holes import may_leave_one
from indexer.domain.resuming.checkpoints import Mark, SilentCut
from indexer.domain.resuming.natives import NativeReadings
from indexer.domain.resuming.reorgs import doubtful_after, left_unread
from indexer.domain.telling.commits import Commit, parts
from indexer.domain.telling.facts import BalanceReverted, Checkpoint, Fact, StreamResync

MOST_CUTS = 16
"""Silent reorgs since all natives were read; with an interval of 1 that is one block ago."""

FOLLOW_SECONDS = 5.0
"""How often a block that changed nothing of ours moves the checkpoint; after a kill they are looked at twice."""


_Said = BalanceUpdated | BalanceReverted


class Ledger:
    """One stream's numbers, balances and the recent updates that a reorg may take back."""

    def __init__(
        self,
        *,
        stream: str,
        chain_id: int,
        window: int,
        commits: CommitLog,
        checkpoints: Checkpoints,
        books: Books,
        finisher: Finisher,
        publish: Callable[[Commit], None],
        prepare: Callable[[Commit], None] = lambda _commit: None,
        written: Callable[[float], None] = lambda _seconds: None,
        counted: Callable[[int, int], None] = lambda _records, _events: None,
        returned: Callable[[int], None] = lambda _seq: None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._stream = stream
        self._chain_id = chain_id
        self._window = window
        self._commits = commits
        self._checkpoints = checkpoints
        self._books = books
        self._finisher = finisher
        self._tell_returned = returned
        self._clock = clock or asyncio.get_running_loop().time
        self._followed_at = 0.0
        self.writer = Writer(
            stream=stream,
            commits=commits,
            finisher=finisher,
            publish=publish,
            prepare=prepare,
            written=written,
            counted=counted,
        )
        self.seq = 0
        self.incidents = Incidents()
        self.natives = NativeReadings()
        self.was_stale = False
        """Whether the last life told, and no life since took it back, that there is no trustworthy head."""
        self.balances: dict[Holding, int] = {}
        self.returned: frozenset[Holding] = frozenset()
        """Watched again, and not recorded since: what they held while nobody watched is not known."""
        self.untold: frozenset[Holding] = frozenset()
        """Not told since the chain is followed again: whoever came while it was not does not know them."""
        self.unread = Unread()
        """Watched, and their token does not tell."""
        self.trails = Trails()
        self.settling = Settling(chain_id, self._heard_block)
        self._noted: dict[Transfer, None] = {}
        self._unsaved_watch: Watch | None = None
        self._saved_unread = self.unread
        self._cuts: tuple[SilentCut, ...] = ()
        self._recent = Recent()

    async def count_on(self) -> None:
        """Number what comes from where the log ends, once that is settled."""
        await self._finisher.finished(self._stream)
        self.seq = await self._commits.last_seq(self._stream)

    async def load(self, watch: Watch | None = None) -> Begun:
        """Go on where the log ends, with the blocks that were followed until then."""
        await self._finisher.finished(self._stream)
        life = await last_life(
            self._stream, self._chain_id, log=self._commits, checkpoints=self._checkpoints, books=self._books
        )
        mark = life.mark
        self.seq, self.was_stale = life.seq, life.ends_stale
        self.balances = {holding: record.balance for holding, record in life.records.items()}
        self.settling.now = life.settled
        self.trails = Trails(dict(mark.trail))
        self.incidents = mark.incidents
        returned, self.untold = mark.returned, life.untold
        for commit in life.commits:
            self._take_over(commit)
            if commit.first_seq > mark.seq:
                returned = doubtful_after(commit, returned, self.above)
                self.trails.take_over(commit, self.balances, self._recent.above)
            if commit.first_seq >= life.first:
                self._recent.remember(commit)
        self.settling.take_over(life.commits)
        if mark.seq == self.seq:
            self.settling.now = mark.settled
        if watch is not None:
            self.rewatch(mark.watch or Watch(), watch)
        if mark.watch is None:  # killed before it was kept: nobody watched anything else meanwhile
            self.returned = frozenset()
        recorded = life.recorded
        watched = self.balances.keys() if watch is None else self.balances.keys() & watch.holdings()
        self.returned |= returned & watched
        # How far they held may have been of a branch that is gone: at the block of their record they do.
        self.unread = self._saved_unread = mark.unread.cut(0).answered(recorded)
        if watch is not None:
            self.unread = self.unread.within(watch)
            self.untold &= watch.holdings()
        self.natives = life.natives
        self._cuts = mark.cuts
        self._tell_returned(self.seq)  # whoever wrote it may have ended before the store answered, and told nobody
        return Begun(HeadChain(self._window, life.known).within(), life.native_since, life.words)

    @property
    def natives_at(self) -> int:
        """The block at which all native balances were read last."""
        return self.natives.newest

    def natives_read(self, number: int, *, anew: bool = False) -> None:
        """All of them, at this block; `anew` where what was read before may have been of another branch."""
        self.natives = (NativeReadings() if anew else self.natives).at(number, number - self._window)

    async def _since(self, after: int) -> list[Commit]:
        return await commits_since(self._commits, self._stream, after, self.seq)

    def rewatch(self, before: Watch, after: Watch) -> None:
        """What happened to a wallet or token while nobody watched it is not known."""
        if before == after:
            return
        gone, come = before.beyond(after), after.beyond(before)
        for holding in gone:
            self.trails.end(holding)
        self.trails.lose(come & self.balances.keys())
        self.returned = (self.returned - gone) | (come & self.balances.keys())
        self.untold -= gone
        self._unsaved_watch = after
        self.unread = self.unread.within(after)

    def note(self, transfers: Sequence[Transfer], without: Collection[Holding]) -> None:
        """These logs lead to no record now (but for the holdings that are named): the next record accounts for them."""
        self._noted.update(dict.fromkeys(self.trails.note(transfers, self.balances, without)))
        if len(self._noted) > 2 * MOST_LOGS_IN_ALL:
            carried = self.trails.carried()
            self._noted = {log: None for log in self._noted if log in carried}

    async def commit(self, facts: Sequence[Fact], head: Head) -> None:
        """Write all of them, then tell them; the checkpoint moves with the last one."""
        said = 0
        for part in parts(facts, COMMIT_FACTS):
            is_first, said = said == 0, said + len(part)
            commit = Commit(
                id=uuid.uuid4().hex,
                stream=self._stream,
                first_seq=self.seq + 1,
                time=now(),
                facts=part,
                checkpoint=Checkpoint(head, self.settling.known) if said == len(facts) else None,
                noted=tuple(self._noted) if is_first else (),
                lost=tuple(self.trails.lost) if is_first else (),
            )
            await self.writer.write(commit, self._apply)

    async def follow(self, known: HeadChain) -> None:
        """Remember the blocks that changed nothing, now and then; at once, who cannot be read."""
        now = self._clock()
        if now - self._followed_at < FOLLOW_SECONDS and self.unread is self._saved_unread:
            return
        self._followed_at = now
        await self.save(known)

    async def keep_unread(self, known: HeadChain) -> None:
        """A next life that did not know of them would say that they hold."""
        if self.unread is not self._saved_unread:
            await self.save(known)

    async def save(self, known: HeadChain) -> None:
        """Remember the newest blocks, as far as the store takes them now."""
        if known.heads:
            await self.writer.if_taken(lambda: self._keep(known))

    async def keep(self, known: HeadChain) -> None:
        """The same where the next life must know: returns once it will."""
        if known.heads:
            await self.writer.until_taken(lambda: self._keep(known))

    async def _keep(self, known: HeadChain) -> None:
        await self.writer.write_held()  # no checkpoint is ahead of the log
        watch = self._unsaved_watch
        # Below what all natives were read at since, nobody asks any more what was read before.
        self._cuts = tuple(cut for cut in self._cuts if cut.number >= self.natives_at)[-MOST_CUTS:]
        mark = Mark(
            self.seq,
            self.trails.logs,
            self.settling.now,
            watch,
            self.natives_at,
            self.natives.blocks[:-1],
            self.incidents,
            self.returned,
            self._cuts,
            self.unread,
        )
        await self._checkpoints.follow(self._stream, known.heads, mark)
        self._saved_unread = mark.unread
        if watch is not None:
            self._unsaved_watch = None

    async def stored_block(self, number: int) -> BlockRef | None:
        """The highest block up to `number` of which history has a record, as of the last projection."""
        return await self._books.block_at_or_below(self._chain_id, number)

    async def _heard_block(self, number: int) -> BlockRef | None:
        """The same of what was heard live: history that was filled in tells of itself how sure it is."""
        return await self._books.block_at_or_below(self._chain_id, number, heard=True)

    async def recorded(self) -> Recorded:
        """Every block with records; a reorg may take back what was committed a moment ago and is not projected yet."""
        await self.writer.write_held()
        stored = await self._checkpoints.load(self._stream)
        return Recorded(self.stored_block, self._heard_block, await self._since(stored.projected if stored else 0))

    async def told_above(self, number: int) -> Sequence[Commit] | None:
        """All commits that told of blocks above that one, oldest first; nothing where some may not be kept any more."""
        await self.writer.write_held()
        above = await self._commits.above_block(self._stream, number)
        if not above or above[0].first_seq == 1:
            return above
        first = above[0].first_seq
        before = await self._commits.since(self._stream, first - 2, 1)
        # Of a commit in parts only the last has a checkpoint: the others are not among what was found.
        is_whole = all(commit.first_seq < first and commit.checkpoint is not None for commit in before)
        return await self._since(first - 1) if before and is_whole else None

    async def settle(self, settled: Settled, tip: Head) -> None:
        """These blocks stay; told where one of them has records."""
        facts = await self.settling.advance(settled)
        if facts:
            await self.commit(facts, tip)

    async def roll_back(self, known: HeadChain, facts: Sequence[Fact]) -> frozenset[Holding]:
        """What `known` does not hold any more is orphaned, and these facts tell of it; who is to be read again."""
        ancestor = known.heads[-1]
        self.settling.roll_back(ancestor.number)
        self.natives = self.natives.cut(ancestor.number, known.heads[0].number)
        self._noted = {log: None for log in self._noted if log.block_number <= ancestor.number}
        self.trails.cut(ancestor.number)
        orphaned = self.above(ancestor.number)
        if facts:
            await self.commit(facts, ancestor)
        else:
            # No commit says so, and earlier ones say otherwise: nothing may be built on this before it is kept.
            self._cuts = (*self._cuts, SilentCut(ancestor.number, self.seq))
            await self.keep(known)
        return self.returned | left_unread(orphaned, facts)

    def above(self, number: int) -> list[BalanceUpdated]:
        """The updates at blocks above `number`, in the order they were told."""
        return self._recent.above(number)

    def unlike(self, number: int, values: Mapping[Holding, int]) -> frozenset[Holding]:
        """Which of these values, read at block `number`, are not what was recorded to hold there."""
        return differing(values, self.balances, self.above(number))

    def _apply(self, commit: Commit) -> None:
        self._noted.clear()
        self._take_over(commit)
        if self.untold:
            self.untold -= {fact.holding for fact in commit.facts if isinstance(fact, _Said)}
        self.returned = doubtful_after(commit, self.returned, self.above)
        if any(may_leave_one(fact) for fact in commit.facts):
            self._tell_returned(commit.last_seq)
        self.trails.account(commit.facts, self._recent.above)
        self.settling.remember(commit)
        self._recent.remember(commit)
        if commit.checkpoint is not None:
            self._recent.forget(commit.checkpoint.head.number - self._window)

    def _take_over(self, commit: Commit) -> None:
        self.seq = commit.last_seq
        for fact in commit.facts:
            if isinstance(fact, _Said):
                self.balances[fact.holding] = fact.balance
            elif isinstance(fact, StreamResync):
                self.incidents = self.incidents._replace(resync=Incident(fact.block.number, fact.reason, commit.time))
                if fact.above is not None:
                    # Records that were cut off are gone also for those whom nobody watched just then, or who could not
                    # be read: their next read is a record, even where it says the same.
                    rows = {row.holding: row.balance for row in fact.confirmed}
                    self.balances = {**self.balances, **rows} if fact.more else rows
