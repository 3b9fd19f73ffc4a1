"""Native balances read every N blocks: in which of the blocks in between did they change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from indexer.domain.chain import BlockHash, Head, Holding
from indexer.domain.views import Readings


class Node(Protocol):
    """Reads balances at exactly the block asked for."""

    async def read(self, wanted: Mapping[BlockHash, Collection[Holding]]) -> dict[BlockHash, Readings]: ...


class Span(NamedTuple):
    """This holding had `before` at block number `low`, and has `after` at `high`, which differs."""

    holding: Holding
    low: int
    before: int
    high: int
    after: int


class Step(NamedTuple):
    """At this block the holding's balance became `balance`, after `before`."""

    head: Head
    holding: Holding
    before: int
    balance: int


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
    wanted: dict[BlockHash, set[Holding]] = {}
    for span in spans:
        wanted.setdefault(by_number[(span.low + span.high) // 2].hash, set()).add(span.holding)
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
