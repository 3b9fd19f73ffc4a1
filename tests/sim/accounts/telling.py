"""One story told aloud, with virtual times: for whoever has to find out why it ended badly."""

from __future__ import annotations

from typing import Any

from indexer.demo.venue import Change
from indexer.domain.accounts.arrivals import StreamAlive
from indexer.domain.telling.commits import Commit
from tests.sim.accounts.life import Life
from tests.sim.accounts.lines import markets_of
from tests.sim.accounts.run import Outcome, Story, exchange_of
from tests.sim.clock import play
from tests.sim.saying import aloud, say


def tell(seed: int) -> Outcome:
    """All that the account logs, hears, asks and commits, and all that the desk does."""
    markets_of(exchange_of(seed))
    with aloud():
        return play(Aloud(seed).tell())


class Aloud(Story):
    """Says what happens."""

    async def _suffer(self) -> None:
        say(f"{self._exchange}: { {name: rate for name, rate in _rates(self._faults).items() if rate} }")
        self.disk.kept.commits = _Log()
        self.venue.truth.listen(_changed)
        await super()._suffer()

    async def _calm(self) -> None:
        say("CALM")
        await super()._calm()

    async def _live(self) -> Life:
        life = await super()._live()
        say("A LIFE BEGINS")
        life.overhear(_heard)
        return life


class _Log(list[Commit]):
    """Says what is written; watching it from a task would shift the story's time."""

    def append(self, commit: Commit) -> None:
        say(f"COMMIT {commit.first_seq} to {commit.last_seq}")
        for fact in commit.facts:
            say(f"    {fact}")
        super().append(commit)


def _rates(faults: Any) -> dict[str, float]:
    return {name: getattr(faults, name) for name in faults.__dataclass_fields__ if not name.endswith("_seconds")}


def _changed(change: Change) -> None:
    moves = ", ".join(f"{move.wallet} {move.asset} {move.after.free}+{move.after.used}" for move in change.moves)
    say(f"TRUTH {change.kind}: {moves}")


def _heard(said: object) -> None:
    if not isinstance(said, StreamAlive):
        say(f"heard {said}")
