"""What the store has of a stream's last life, from which the next one goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from actors.chains.books.memory import Books, Checkpoints, CommitLog
from actors.chains.books.natives import natives_recorded
from actors.chains.books.recent import Recent
from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Head, Holding, TokenInfo
from indexer.domain.following.finality import Settled
from indexer.domain.following.headchain import HeadChain
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.resuming import recovery
from indexer.domain.resuming.checkpoints import Mark
from indexer.domain.resuming.natives import NativeReadings
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted
from indexer.errors import StoreUnavailable

PAGE: Final = 200


class Begun(NamedTuple):
    """What only the beginning of a life asks for."""

    known: HeadChain
    """The blocks that were followed until then."""
    native_since: Mapping[Holding, int]
    """The blocks of those native balances that were recorded after all of them were read last."""
    words: Mapping[Holding, TokenInfo | None]
    """With what each balance was told last, nothing where that is not known."""


@dataclass(frozen=True, slots=True)
class LastLife:
    """The projected balances, the checkpoint, and all commits that either does not show or a reorg may take back."""

    seq: int
    """The last number in the log."""
    records: Mapping[Holding, BalanceRecord]
    settled: Settled
    heads: tuple[Head, ...]
    mark: Mark
    projected: int
    left: int
    """The last number that was told before nobody followed the chain for a while."""
    first: int
    """The number from which on commits are above the lowest of those heads."""
    commits: Sequence[Commit]
    ends_stale: bool

    @property
    def later(self) -> list[Commit]:
        """Those after the checkpoint."""
        return [commit for commit in self.commits if commit.first_seq > self.mark.seq]

    @property
    def recorded(self) -> frozenset[Holding]:
        """Which of them got a record after the checkpoint."""
        facts = (fact for commit in self.later for fact in commit.facts)
        return frozenset(fact.holding for fact in facts if isinstance(fact, BalanceUpdated))

    @property
    def untold(self) -> frozenset[Holding]:
        """Which were told last before that: whoever came while the chain was not followed does not know them."""
        if not self.left:
            return frozenset()
        told = {holding: record.seq for holding, record in self.records.items()}
        for commit in self.commits:
            for seq, fact in enumerate(commit.facts, commit.first_seq):
                if isinstance(fact, BalanceUpdated | BalanceReverted):
                    told[fact.holding] = max(seq, told.get(fact.holding, 0))
        return frozenset(holding for holding, seq in told.items() if seq <= self.left)

    @property
    def known(self) -> tuple[Head, ...]:
        return recovery.continued(self.heads, [commit for commit in self.later if commit.first_seq >= self.first])

    @property
    def natives(self) -> NativeReadings:
        """The blocks at which all native balances were read."""
        return recovery.natives_read_at(self.mark, self.heads, self.known, self.later)

    @property
    def native_since(self) -> dict[Holding, int]:
        lowest, at = self.heads[0].number if self.heads else 0, self.natives.newest
        recorded_at = natives_recorded(self.records, self.commits, self.mark.cuts, lowest)
        return {holding: number for holding, number in recorded_at.items() if number > at}

    @property
    def words(self) -> dict[Holding, TokenInfo | None]:
        return words_told(self.records, self.commits)


async def last_life(stream: str, chain_id: int, *, log: CommitLog, checkpoints: Checkpoints, books: Books) -> LastLife:
    seq = await log.last_seq(stream)
    records = await books.balances_of(chain_id)
    settled = await books.settled(chain_id)
    stored = await checkpoints.load(stream)
    heads = stored.heads if stored else ()
    mark, projected, left = (stored.mark, stored.projected, stored.left) if stored else (Mark(), 0, 0)
    first = await _first_above(log, stream, heads[0].number, seq) if heads else 1
    commits = await commits_since(log, stream, min(first - 1, projected, mark.seq), seq)
    newest = commits or await commits_since(log, stream, max(0, seq - 1), seq)
    return LastLife(seq, records, settled, heads, mark, projected, left, first, commits, recovery.ends_stale(newest))


async def commits_since(log: CommitLog, stream: str, after: int, seq: int) -> list[Commit]:
    """All that tell of numbers above that one, the last of which is `seq`."""
    commits: list[Commit] = []
    while page := await log.since(stream, after, PAGE):
        commits.extend(page)
        after = page[-1].last_seq
    if after < seq:
        # A primary that was elected a moment ago: what it knows a majority to have ends lower than what it has.
        raise StoreUnavailable(f"number {seq} of {stream} cannot be read yet")
    return commits


async def _first_above(log: CommitLog, stream: str, number: int, seq: int) -> int:
    """The number from which on commits are above this block; parts of split ones, without checkpoint, follow it."""
    above = await log.above_block(stream, number)
    return above[0].first_seq if above else seq + 1


def words_told(records: Mapping[Holding, BalanceRecord], commits: Iterable[Commit]) -> dict[Holding, TokenInfo | None]:
    """What was last told with each balance: by record, then by log.

    Nothing where a reorg took that back, and what it left is older than the log that is read: it may be of an earlier
    word. What is projected of a reorg has the words of what it took back.
    """
    recent = Recent()
    said: dict[Holding, TokenInfo | None] = {holding: row.info for holding, row in records.items()}
    for commit in commits:
        recent.remember(commit)
        said.update((fact.holding, None) for fact in commit.facts if isinstance(fact, BalanceReverted))
    return said | {update.holding: update.info for update in recent.updates}
