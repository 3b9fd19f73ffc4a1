"""Native balances read every N blocks: in which of the blocks in between did they change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, BlockHash, Head, Holding, KnownBlock
from indexer.domain.following.headchain import is_linked
from indexer.domain.following.views import Readings
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.resuming.checkpoints import SilentCut
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted
from indexer.errors import BadAnswer

PIECE: Final = 256
"""Headers in one request; as many pieces as an interval has."""


class Node(Protocol):
    """Tells which blocks are canonical, and reads balances at exactly the block asked for."""

    async def headers(self, first: int, last: int) -> tuple[Head, ...]: ...

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]: ...


class Span(NamedTuple):
    """This holding had `before` at block number `low`, and has `after` at `high`, which differs."""

    holding: Holding
    low: int
    before: int
    high: int
    after: int


def natives_recorded(
    records: Mapping[Holding, BalanceRecord], commits: Iterable[Commit], cuts: Iterable[SilentCut], lowest: int
) -> dict[Holding, int]:
    """At which block each was known last, by record and by what was told; where a reorg took that back, before it.

    What was below the `lowest` block that is remembered is not known any more.
    """
    at = {holding: [(row.seq, row.block.number)] for holding, row in records.items() if holding.token == NATIVE}

    def cut(number: int, seq: int) -> None:
        for holding, known in at.items():
            left = [(told, block) for told, block in known if told > seq or block <= number]
            at[holding] = left or [(known[0][0], min(number, lowest))]

    silent = sorted(cuts, key=lambda each: each.seq)
    for commit in commits:
        while silent and silent[0].seq < commit.first_seq:
            cut(*silent.pop(0))
        if commit.ancestor is not None:
            cut(commit.ancestor, commit.first_seq - 1)
        for seq, fact in enumerate(commit.facts, commit.first_seq):
            if isinstance(fact, BalanceUpdated | BalanceReverted) and fact.holding.token == NATIVE:
                at.setdefault(fact.holding, []).append((seq, fact.block.number))
    for each in silent:
        cut(*each)
    return {holding: max(known)[1] for holding, known in at.items()}


class Step(NamedTuple):
    """At this block the holding's balance became `balance`, after `before`."""

    head: Head
    holding: Holding
    before: int
    balance: int


async def between(node: Node, known: Sequence[Head], spans: Sequence[Span]) -> tuple[Head, ...]:
    """Every block that a change may be in: those that are not `known` any more, and the known ones.

    An interval may be longer than what is remembered; and of the blocks before a restart, only some are known.
    """
    ours = {head.number: head for head in known}
    missing = [n for n in range(min(s.low for s in spans) + 1, max(s.high for s in spans)) if n not in ours]
    if not missing:
        return tuple(known)
    found: list[Head] = []
    for first in range(missing[0], missing[-1] + 1, PIECE):
        found += await node.headers(first, min(first + PIECE - 1, missing[-1]))
    above = ours[missing[-1] + 1]
    if [head.number for head in found[:1]] != missing[:1] or not is_linked(None, (*found, above)):
        raise BadAnswer(f"headers {missing[0]} to {missing[-1]} are not the chain below block {above.number}")
    return (*found, *known)


async def search(node: Node, blocks: Sequence[Head], spans: Iterable[Span]) -> list[Step]:
    """Halve every span until each change has its block; all holdings in one request per halving.

    A balance that changed and changed back between two reads is not seen: that is what the interval gives up.
    """
    by_number = {head.number: head for head in blocks}
    open_spans, steps = list(spans), []
    while open_spans:
        wide = []
        for span in open_spans:
            if span.high - span.low > 1 and (span.low + span.high) // 2 in by_number:
                wide.append(span)
            else:
                steps.append(Step(by_number[span.high], span.holding, span.before, span.after))
        open_spans = await _halved(node, by_number, wide)
    return sorted(steps, key=lambda step: (step.head.number, step.holding))


async def _halved(node: Node, by_number: Mapping[int, Head], spans: Sequence[Span]) -> list[Span]:
    wanted: dict[KnownBlock, set[Holding]] = {}
    for span in spans:
        wanted.setdefault(by_number[(span.low + span.high) // 2], set()).add(span.holding)
    answers = await node.read(wanted) if wanted else {}
    halves = []
    for span in spans:
        middle = (span.low + span.high) // 2
        value = answers.get(by_number[middle].hash, Readings()).values.get(span.holding, span.before)
        if value != span.before:
            halves.append(span._replace(high=middle, after=value))
        if value != span.after:
            halves.append(span._replace(low=middle, before=value))
    return halves
