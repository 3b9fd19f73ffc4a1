"""One story told aloud, with virtual times: for whoever has to find out why it ended badly."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import structlog

from indexer.domain.commits import Commit
from tests.sim.clock import play
from tests.sim.run import Outcome, Story, bounded


def tell(seed: int) -> Outcome:
    """All that the service logs, every commit, every reorg and kill."""
    before = structlog.get_config()
    structlog.configure(processors=[_logged], wrapper_class=structlog.make_filtering_bound_logger(0))
    try:
        story = Aloud(seed)
        return play(bounded(story))
    finally:
        structlog.configure(**before)


class Aloud(Story):
    """Says what it does."""

    async def tell(self) -> Outcome:
        _say(f"faults: { {name: rate for name, rate in vars(self._now).items() if rate} }")
        for line in self.fleet.described():
            _say(line)
        self.disk.kept.commits = _Log()
        return await super().tell()

    def _happen(self) -> None:
        super()._happen()
        _say(f"the tip is {self.world.tip.number} {self.world.tip.hash}")

    def _reorg(self, depth: int, longer: int) -> None:
        super()._reorg(depth, longer)
        _say(f"REORG {depth} deep, {longer} longer")


class _Log(list[Commit]):
    """Says what is written; watching it from a task would shift the story's time."""

    def append(self, commit: Commit) -> None:
        _commit(commit)
        super().append(commit)


def _commit(commit: Commit) -> None:
    at = commit.checkpoint and commit.checkpoint.head.number
    _say(f"COMMIT {commit.stream} {commit.first_seq} to {commit.last_seq} at block {at}")
    for fact in commit.facts:
        _say(f"    {fact}")


def _logged(_logger: object, level: str, event: MutableMapping[str, Any]) -> str:
    name = event.pop("event")
    _say(f"{level} {name} {dict(event)}")
    raise structlog.DropEvent


def _say(line: str) -> None:
    try:
        now = asyncio.get_running_loop().time()
    except RuntimeError:
        now = 0.0
    print(f"{now:10.4f} {line}")  # noqa: T201 - that is what it is for
