"""What one client was told, and whether that is what the log says."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from indexer.client.following import Conflated, Event, Gap, Message, Snapshot
from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Address, BlockHash, Holding
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.events import event_json
from indexer.domain.telling.facts import BalanceReverted, Fact, HistoryFilled, StreamResync
from indexer.domain.telling.streams import chain_stream
from tests.sim.store.opened import EPOCH
from tests.sim.world import CHAIN_ID

STREAM = chain_stream(CHAIN_ID)


@dataclass
class Witness:
    """Keeps everything it hears; `faults` is what was wrong at that very moment."""

    name: str
    last: dict[str, int] = field(default_factory=dict)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id, as they were when first told."""
    balances: dict[Holding, int] = field(default_factory=dict)
    delivered: dict[Holding, int] = field(default_factory=dict)
    """The number of the newest event about each balance."""
    words: dict[Holding, tuple[int | None, str | None]] = field(default_factory=dict)
    """Decimals and symbol that each balance was told with last."""
    snapshots: list[Snapshot] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    conflations: int = 0
    answers: int = 0
    has_baseline: bool = False
    _is_dense: bool = True

    def hear(self, message: Message) -> None:
        match message:
            case Event():
                self.event(
                    {
                        "type": message.type,
                        "id": message.id,
                        "stream": message.stream,
                        "seq": message.seq,
                        "time": message.time,
                        "data": message.data,
                    }
                )
            case Snapshot():
                self._snapshot(message)
            case Conflated():
                self.conflations += 1
                self._is_dense = False
            case Gap(None):
                """It cannot know what began while it was away: it lost its connection before it was told once."""
            case Gap(stream):
                self.faults.append(f"events of {stream} are said to be lost, though all are kept")

    def event(self, said: Mapping[str, Any]) -> None:
        stream, seq = said["stream"], said["seq"]
        due = self.last.get(stream, 0) + 1
        if seq != due and self._is_dense and (stream in self.last or self.has_baseline):
            self.faults.append(f"I5: {stream} {seq} came where {due} was due")
        if seq < due:
            self.faults.append(f"I5: {stream} {seq} came after {due - 1}")
        before = self.events.setdefault(said["id"], dict(said))
        if before != said:
            self.faults.append(f"I5: {said} was {before} before")
        self.last[stream] = max(seq, self.last.get(stream, 0))
        data = said["data"]
        if "newBalance" in data:
            holding = Holding(data["tokenAddress"], Address(data["solverAddress"]))
            self.balances[holding] = int(data["newBalance"])
            self.delivered[holding] = seq
            self.words[holding] = data["decimals"], data["tokenSymbol"]

    def level_again(self) -> None:
        """After a new connection with `after`, every event has to come again."""
        self._is_dense = True

    def _snapshot(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        self.has_baseline = True
        self.last.update(snapshot.positions)
        self.balances = {
            Holding(item["tokenAddress"], Address(item["solverAddress"])): int(item["balance"])
            for item in snapshot.items
        }
        self.words = {
            Holding(item["tokenAddress"], Address(item["solverAddress"])): (item["decimals"], item["tokenSymbol"])
            for item in snapshot.items
        }
        self.delivered = dict.fromkeys(self.balances, snapshot.positions.get(STREAM, 0))


def as_told(commits: Sequence[Commit]) -> dict[str, Any]:
    """Every event of the log by its id, word for word."""
    return {
        event.id: orjson.loads(orjson.dumps(event_json(event))) for commit in commits for event in commit.events(EPOCH)
    }


def told_truly(witness: Witness, commits: Sequence[Commit], log: Mapping[str, Any]) -> Iterator[str]:
    """I4 and I5: all that it saw is in the log, word for word, and all that is in the log it saw."""
    name = witness.name
    for identifier, event in witness.events.items():
        if log.get(identifier) != event:
            yield f"I4: {name} saw {event}, the log has {log.get(identifier)}"
    ends = {commit.stream: commit.last_seq for commit in commits}
    if witness.last != ends:
        yield f"I5: {name} has got to {witness.last}, the log to {ends}"
    for snapshot in witness.snapshots:
        yield from _snapshot_is_exact(snapshot, commits, name)
    yield from (f"{name}: {fault}" for fault in witness.faults)


def _snapshot_is_exact(snapshot: Snapshot, commits: Sequence[Commit], name: str) -> Iterator[str]:
    held: dict[Holding, int] = {}
    end = snapshot.positions.get(STREAM, 0)
    for _, fact in _facts(commits, end):
        if isinstance(fact, BalanceUpdated | BalanceReverted):
            held[fact.holding] = fact.balance
    for item in snapshot.items:
        holding = Holding(item["tokenAddress"], Address(item["solverAddress"]))
        if held.get(holding) != int(item["balance"]):
            yield f"{name}: a snapshot at {end} has {item}, the log says {held.get(holding)}"


def is_fresh(
    commits: Sequence[Commit],
    holding: Holding,
    answer: Mapping[str, Any],
    delivered: int,
    filled: Collection[BlockHash] = (),
) -> bool:
    """Whether an answer of the API is what held after some event that is no older than what was told by `delivered`.

    Of `filled` blocks a record may be left above the ancestor of a reorg: history is looked at after the reorg is told,
    and not before the chain has grown to where it was filled (ADR 0015).
    """
    balance, block = int(answer["balance"]), answer["blockHash"]
    if block in filled and answer["blockNumber"] > _lowest_cut(commits, holding):
        return True
    read_anew = set[BlockHash]()
    for seq, fact in _newest_first(commits):
        match fact:
            case BalanceUpdated() if fact.holding == holding:
                fits = fact.balance == balance and fact.block.hash == block
                read_anew.add(fact.block.hash)
            case BalanceReverted() if fact.holding == holding:
                fits = fact.balance == balance  # an older record may hold again, with its own block
            case StreamResync():
                confirmed = {row.holding: row.balance for row in fact.confirmed}
                if holding not in confirmed and (fact.above is None or fact.block.hash in read_anew):
                    continue
                # Of what nobody watches any more, an older record may be left.
                fits = confirmed.get(holding, balance) == balance
            case _:
                continue
        if fits or seq <= delivered:
            return fits
    return True


def _lowest_cut(commits: Sequence[Commit], holding: Holding) -> float:
    """The lowest block that a reorg which took records of this balance back went down to."""
    facts = (fact for commit in commits if commit.stream == STREAM for fact in commit.facts)
    cuts = (fact.block.number for fact in facts if isinstance(fact, BalanceReverted) and fact.holding == holding)
    return min(cuts, default=math.inf)


def filled_in(commits: Sequence[Commit], holding: Holding) -> frozenset[BlockHash]:
    """The blocks of which history told a record of this balance."""
    facts = (fact for commit in commits for fact in commit.facts)
    told = (fact for fact in facts if isinstance(fact, HistoryFilled) and fact.holding == holding)
    return frozenset(row.block.hash for fact in told for row in fact.rows)


def _newest_first(commits: Sequence[Commit]) -> Iterator[tuple[int, Fact]]:
    for commit in reversed(commits):
        if commit.stream == STREAM:
            for place in range(len(commit.facts) - 1, -1, -1):
                yield commit.first_seq + place, commit.facts[place]


def _facts(commits: Sequence[Commit], end: int | None) -> Iterator[tuple[int, Fact]]:
    for commit in commits:
        if commit.stream == STREAM:
            for seq, fact in enumerate(commit.facts, commit.first_seq):
                if end is None or seq <= end:
                    yield seq, fact
