"""What is to be published, stream by stream: in memory where it is new, else to be read from the log."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from indexer.domain.telling.commits import Commit, Event

MOST_HELD = 10_000
"""Facts in memory, over all streams; what comes beyond is read from the log, which has it anyway."""


class Backlog:
    """Commits that wait, in order and without holes; `done` is the last number of each stream that went out."""

    def __init__(self, done: Mapping[str, int]) -> None:
        self.done = dict(done)
        self._held: dict[str, deque[Commit]] = {}
        self._facts = 0
        self._turns: dict[str, None] = {}

    @property
    def is_full(self) -> bool:
        return self._facts >= MOST_HELD

    def add(self, commit: Commit) -> None:
        """Keep it where there is room and it continues what is kept; otherwise it is found in the log later."""
        if not self.is_full and commit.first_seq == self._next(commit.stream):
            self._hold(commit)

    def behind(self, told: Mapping[str, int]) -> list[str]:
        """Streams with something to send; the one that waited longest comes first."""
        for stream in told:
            self._turns.setdefault(stream)
        return [stream for stream in self._turns if told.get(stream, 0) > self.done.get(stream, 0)]

    def lacks(self, stream: str) -> bool:
        """Whether the next event of it has to be read from the log."""
        return not self._held.get(stream)

    def fill(self, stream: str, page: Sequence[Commit], told: int) -> int:
        """Take what the log has up to `told`; how many events it does not have any more."""
        first = page[0].first_seq if page else told + 1
        gone = max(0, min(first, told + 1) - self._next(stream))
        for commit in page:
            if commit.last_seq <= told:
                self._hold(commit)
        return gone

    def take(self, stream: str, most: int, epoch: str) -> list[Event]:
        """The next events of it; they stay until they are `sent`. It is the others' turn then."""
        self._turns.pop(stream, None)
        self._turns[stream] = None
        events: list[Event] = []
        for commit in self._held.get(stream, ()):
            events += commit.events(epoch, after=self.done.get(stream, 0), most=most - len(events))
            if len(events) == most:
                break
        return events

    def sent(self, stream: str, seq: int) -> None:
        """Everything of this stream up to `seq` is stored over there."""
        self.done[stream] = seq
        held = self._held.get(stream)
        while held and held[0].last_seq <= seq:
            self._facts -= held.popleft().size

    def _next(self, stream: str) -> int:
        held = self._held.get(stream)
        return (held[-1].last_seq if held else self.done.get(stream, 0)) + 1

    def _hold(self, commit: Commit) -> None:
        self._held.setdefault(commit.stream, deque()).append(commit)
        self._facts += commit.size
