"""What a client remembers of the streams it follows: pure, so that every way to lose a connection can be tested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from indexer.client.problems import Problem, problem_of


class Filter(TypedDict, total=False):
    """What to follow; an event has to agree with every field that is given."""

    type: str
    chain: int | str
    token: str
    solver: str
    exchange: str
    account: str
    wallet: str
    asset: str


@dataclass(frozen=True, slots=True)
class Event:
    """One numbered event; `id` never repeats."""

    type: str
    id: str
    stream: str
    seq: int
    time: str
    data: Mapping[str, Any]

    @property
    def epoch(self) -> str:
        """Which store numbered it."""
        return self.id.removesuffix(f":{self.stream}:{self.seq}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All current balances that the filters cover, as of `positions`; after a gap those of that one stream."""

    items: Sequence[Mapping[str, Any]]
    positions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of this stream are lost, and a snapshot of it follows; without a stream, some of any may be lost."""

    stream: str | None


@dataclass(frozen=True, slots=True)
class Conflated:
    """We read too slowly: this many events are left out, and the newest state of each balance follows."""

    dropped: int


_MEMBERS: Final[Mapping[str, Mapping[str, type]]] = {
    "snapshot": {"items": list, "positions": dict},
    "gap": {"stream": str},
    "conflated": {"dropped": int},
    "heartbeat": {"streams": dict},
    "error": {"problem": dict},
}
_OF_EVENTS: Final[Mapping[str, type]] = {"seq": int, "id": str, "stream": str, "time": str, "data": dict}

Message = Event | Snapshot | Gap | Conflated


class StartOver(Exception):
    """The connection has to be made anew to get what is missing."""


class Following:
    """The last number of every stream, and what to ask for at the next connection."""

    def __init__(
        self, filters: Sequence[Filter] = (), *, after: Mapping[str, int] | None = None, snapshot: bool = False
    ) -> None:
        self.was_accepted = False
        """Whether the service ever took the filters."""
        self._filters = filters
        self._last: dict[str, int] = dict(after or {})
        self._wants_snapshot = snapshot
        # Whether `_last` names every stream there was: only then may one that it does not name be taken for new.
        self._is_complete = False
        # Also those that the service did not follow just then, which no heartbeat names: a snapshot does.
        self._names_unfollowed = False
        self._is_resumed = False
        self._is_settled = False
        self._behind: set[str] = set()
        self._gaps: set[str] = set()
        self._epoch: str | None = None
        self._connections = 0

    @property
    def last(self) -> Mapping[str, int]:
        """What to give as `after` to go on from here another time."""
        return dict(self._last)

    def connected(self) -> dict[str, Any]:
        """The frame that asks for everything that is missing."""
        self._is_resumed = self._is_complete
        self._is_settled = False
        # Their missed events come after the snapshot, so that it must not move them on.
        self._behind = set(self._last)
        self._gaps = set()
        self._connections += 1
        frame: dict[str, Any] = {"op": "subscribe", "id": str(self._connections), "filters": list(self._filters)}
        if self._wants_snapshot:
            frame["snapshot"] = True
        if self._last:
            frame["after"] = dict(self._last)
        return frame

    def heard(self, frame: Mapping[str, Any]) -> Iterator[Message]:
        """What the frame says to whoever follows."""
        match frame.get("type"):
            case "subscribed":
                yield from self._subscribed()
            case "snapshot":
                yield self._snapshot(frame)
            case "gap":
                # What we remember of it stands until the snapshot is here: the connection may break before.
                self._gaps.add(frame["stream"])
                yield Gap(frame["stream"])
            case "conflated":
                yield Conflated(frame["dropped"])
            case "heartbeat":
                self._heartbeat(frame["streams"])
            case "error":
                raise _refusal(frame)
            case _ if "seq" in frame:
                yield from self._event(frame)
            case _:
                pass  # of a newer service

    def _subscribed(self) -> Iterator[Message]:
        self.was_accepted = True
        # Without a baseline there is no telling what happened while we were away.
        if self._connections > 1 and not self._is_complete and not self._wants_snapshot:
            yield Gap(None)

    def _snapshot(self, frame: Mapping[str, Any]) -> Snapshot:
        positions = frame["positions"]
        self._behind -= self._gaps & set(positions)
        self._gaps -= set(positions)
        self._last |= {stream: seq for stream, seq in positions.items() if stream not in self._behind}
        if self._wants_snapshot:
            self._wants_snapshot = False
            self._is_complete = self._names_unfollowed = True
        return Snapshot(tuple(frame["items"]), dict(positions))

    def _heartbeat(self, streams: Mapping[str, Mapping[str, Any]]) -> None:
        if self._wants_snapshot:
            return  # what it says that we have begins with the snapshot
        for stream, said in streams.items():
            if stream in self._gaps:
                continue
            self._look_for_missed(stream, said["seq"])
            self._last[stream] = max(said["seq"], self._last.get(stream, 0))
        self._is_complete = True
        # A stream that began while we were away may be of a chain that is followed again only later.
        self._is_settled = not self._names_unfollowed

    def _event(self, frame: Mapping[str, Any]) -> Iterator[Message]:
        event = Event(frame["type"], frame["id"], frame["stream"], frame["seq"], frame["time"], frame["data"])
        if self._epoch is not None and event.epoch != self._epoch:
            self._forget()
            yield Gap(None)
            raise StartOver
        self._epoch = event.epoch
        self._look_for_missed(event.stream, event.seq - 1)
        if event.seq > self._last.get(event.stream, 0):
            self._last[event.stream] = event.seq
            yield event

    def _look_for_missed(self, stream: str, seq: int) -> None:
        """A stream that began while we were away: the service could not know that we want it from its first event."""
        if self._is_resumed and not self._is_settled and stream not in self._last and seq > 0:
            self._last[stream] = 0
            raise StartOver

    def _forget(self) -> None:
        """The numbers are another store's: nothing that we remember means anything."""
        self._last = {}
        self._epoch = None
        self._is_complete = self._names_unfollowed = False
        self._wants_snapshot = True


def is_frame(frame: Mapping[str, Any]) -> bool:
    """Whether it has what one of ours has; of a type that is not known, which may be of a newer service, its type."""
    kind = frame.get("type")
    members = _MEMBERS.get(kind, _OF_EVENTS if "seq" in frame else {}) if isinstance(kind, str) else {"type": str}
    return all(isinstance(frame.get(name), expected) for name, expected in members.items())


def _refusal(frame: Mapping[str, Any]) -> Problem:
    problem = frame["problem"]
    return problem_of(problem["status"], problem)
