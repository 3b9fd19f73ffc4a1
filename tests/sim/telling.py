"""One story told aloud, with virtual times: for whoever has to find out why it ended badly."""

from __future__ import annotations

from indexer.domain.telling.commits import Commit
from tests.sim.clock import play
from tests.sim.run import Outcome, Story, bounded
from tests.sim.saying import aloud, say


def tell(seed: int) -> Outcome:
    """All that the service logs, every commit, every reorg and kill."""
    with aloud():
        story = Aloud(seed)
        return play(bounded(story))


class Aloud(Story):
    """Says what it does."""

    async def tell(self) -> Outcome:
        say(f"faults: { {name: rate for name, rate in vars(self._now).items() if rate} }")
        for line in self.fleet.described():
            say(line)
        self.branches.say = say
        self.disk.kept.commits = _Log()
        return await super().tell()


class _Log(list[Commit]):
    """Says what is written; watching it from a task would shift the story's time."""

    def append(self, commit: Commit) -> None:
        _commit(commit)
        super().append(commit)


def _commit(commit: Commit) -> None:
    at = commit.checkpoint and commit.checkpoint.head.number
    say(f"COMMIT {commit.stream} {commit.first_seq} to {commit.last_seq} at block {at}")
    for fact in commit.facts:
        say(f"    {fact}")
