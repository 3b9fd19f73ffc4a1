"""What the facts of one endpoint are worth: asked at settled blocks, once one of them has contradicted.

On some roll-ups NUMBER is the block of another chain, and some nodes let programs run as in the next block. There a
fact never fits, and says nothing. Where it fits at a settled block it means what it should, and a contradiction is one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from indexer.clients.evm.asking.answers import head_of, raw_bytes
from indexer.clients.evm.asking.calls import Call, Reply
from indexer.clients.evm.asking.multiread import FACTS_BYTES, TAIL_BYTES, params
from indexer.clients.evm.asking.provenance import Fact, OtherBlock, contradictions, number_of, proven
from indexer.domain.chain import Head
from indexer.errors import IndexerError

_BELOW: Final = (4, 6, 8)
"""So many blocks below the one in question: deep enough to be settled, and not so deep that the state is gone."""
_ENOUGH: Final = 2
"""So many blocks have to say that a fact is foreign: one alone may be an accident."""
_OLDER: Final = 64
"""So many blocks below the one asked for an answer may be of another block."""
_FOR_SECONDS: Final = 3_600.0
"""Then it is found out anew: a chain learns what it did not know, a node is replaced."""

T = TypeVar("T")
Travel = Callable[[Sequence[Call]], Awaitable[Sequence[Reply]]]


@dataclass(slots=True)
class Calibration:
    """Of one endpoint: the facts that fitted a settled block, and those that fitted none."""

    fitting: frozenset[Fact] = frozenset()
    foreign: frozenset[Fact] = frozenset()
    _since: float | None = None

    def is_old(self, now: float) -> bool:
        return self._since is not None and now - self._since > _FOR_SECONDS

    def forget(self) -> None:
        self.fitting = self.foreign = frozenset()
        self._since = None

    async def excuses(
        self, problem: OtherBlock, travel: Travel, now: float, fitted: frozenset[Fact] = frozenset()
    ) -> bool:
        """Whether something new is known to be foreign, so that the question is worth putting again.

        What has `fitted` the blocks of its answers is its word on them: who says something else then is not believed.
        """
        self.fitting |= fitted
        if problem.facts & self.foreign:
            # Another question found that out while this one was on its way.
            return True
        if problem.facts <= self.fitting:
            return False
        fitting, never = await _compared(problem.block.number, travel)
        self.fitting |= fitting
        foreign = self.foreign | (never - self.fitting)
        has_learned = foreign != self.foreign or bool(problem.facts & foreign)
        self.foreign = foreign
        if self._since is None and (fitting or never):
            self._since = now
        return has_learned


async def _compared(number: int, travel: Travel) -> tuple[frozenset[Fact], frozenset[Fact]]:
    """Which facts fit at a settled block, and which at none; at the nearest where too few settled ones can be read."""
    fitting, contradicted = await _compared_at([number - below for below in _BELOW if number - below > 0], travel)
    if len(contradicted) < _ENOUGH:
        also_fitting, also = await _compared_at(_near(number), travel)
        fitting, contradicted = fitting | also_fitting, contradicted + also
    never = frozenset.intersection(*contradicted) if len(contradicted) >= _ENOUGH else frozenset[Fact]()
    return fitting, never


async def _compared_at(numbers: Sequence[int], travel: Travel) -> tuple[frozenset[Fact], list[frozenset[Fact]]]:
    """Which facts fit at any of these blocks, and for each that can be read those that do not."""
    heads = _read(await travel([Call("eth_getBlockByNumber", [hex(each), False]) for each in numbers]), head_of)
    fitting: set[Fact] = set()
    contradicted: list[frozenset[Fact]] = []
    asked = [head for head in heads if head is not None]
    answers = _read(await travel([_facts_at(head) for head in asked]), raw_bytes)
    told = [
        (head, raw[:FACTS_BYTES])
        for head, raw in zip(asked, answers, strict=True)
        if raw is not None and len(raw) == TAIL_BYTES
    ]
    older = await _of_older_blocks(told, travel)
    for head, facts in told:
        fitting |= proven(head, facts)
        if head not in older:
            contradicted.append(contradictions(head, facts))
    return frozenset(fitting), contradicted


async def _of_older_blocks(told: Sequence[tuple[Head, bytes]], travel: Travel) -> list[Head]:
    """Those about which it answered with all that an older block has: that is another block, and no other meaning."""
    suspects = [(head, facts) for head, facts in told if 0 < head.number - number_of(facts) <= _OLDER]
    if not suspects:
        return []
    calls = [Call("eth_getBlockByNumber", [hex(number_of(facts)), False]) for _, facts in suspects]
    older = zip(suspects, _read(await travel(calls), head_of), strict=True)
    return [head for (head, facts), other in older if other and not contradictions(other, facts) - {"state"}]


def _near(number: int) -> list[int]:
    """Above as well, where a chain is young or one's state begins right here; not the very first block.

    There what is foreign may be zero like our own.
    """
    near = (number - 1, number - 2, number + 1, number + 2, number + 3)
    return [each for each in near if each > 0]


def _facts_at(head: Head) -> Call:
    """A read of nobody's balance."""
    return Call("eth_call", params(b"", b"", head), 700)


def _read(replies: Sequence[Reply], meaning: Callable[[Any], T]) -> list[T | None]:
    """Nothing where there is no answer: then that block says nothing of anybody."""
    found: list[T | None] = []
    for reply in replies:
        try:
            found.append(meaning(reply.get()))
        except IndexerError:
            found.append(None)
    return found
