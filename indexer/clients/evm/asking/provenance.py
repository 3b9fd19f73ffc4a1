"""Which block a read was answered for: what the program found where it ran, held against the block asked for.

Four facts, since a node can be wrong in two ways. `number`, `timestamp` and `parent` are what it took for the block;
`state` is whose balances it gave. A node that looks up the one and then the other may give our block's number with the
next block's balances: anvil does, when it mines meanwhile.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from indexer.domain.chain import Head, KnownBlock
from indexer.errors import BadAnswer

Fact = Literal["number", "timestamp", "parent", "state"]
FACTS: Final[frozenset[Fact]] = frozenset(get_args(Fact))
Words = bytes
"""As the program returns them."""

_NOTHING: Final = bytes(32)


class OtherBlock(BadAnswer):
    """The answer is about another block than the one asked for, by these facts."""

    def __init__(self, block: KnownBlock, facts: frozenset[Fact]) -> None:
        super().__init__(f"an answer for another block than {block.number}, by its {', '.join(sorted(facts))}")
        self.block = block
        self.facts = facts


def contradictions(block: KnownBlock, raw: bytes, doubted: frozenset[Fact] = frozenset()) -> frozenset[Fact]:
    """The facts that this block does not have; those that are doubted say nothing.

    The state of a block holds the hash of the block below it, and not yet its own (EIP-2935). A chain without that
    keeps nothing there, and neither does a block from before: then the state says nothing.
    """
    number, timestamp, parent, below, own = (raw[at : at + 32] for at in range(0, len(raw), 32))
    found: set[Fact] = set()
    if int.from_bytes(number) != block.number:
        found.add("number")
    # anvil's newest block is at second 1 for a call, however old it is, as long as that is the first of all.
    if block.number and int.from_bytes(timestamp) != block.timestamp:
        found.add("timestamp")
    is_told = below != _NOTHING
    if isinstance(block, Head):
        known = _bytes(block.parent)
        if parent != known:
            found.add("parent")
        is_older = below != known
    else:
        is_older = "parent" not in doubted and below != parent
    if is_told and (is_older or own == _bytes(block.hash)):
        found.add("state")
    return frozenset(found) - doubted


def proven(block: Head, raw: bytes) -> frozenset[Fact]:
    """The facts that are this block's own, where nothing else can be what makes them so."""
    facts: set[Fact] = {"number", "timestamp", "parent"}
    if raw[96:128] != _NOTHING:
        facts.add("state")
    return frozenset(facts) - contradictions(block, raw)


def number_of(raw: bytes) -> int:
    """The block that the program took for its own."""
    return int.from_bytes(raw[:32])


def _bytes(value: str) -> bytes:
    return bytes.fromhex(value[2:])
