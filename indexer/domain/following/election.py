"""Which chain is ours, where endpoints disagree before anything of it is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from indexer.domain.chain import BlockHash, ChainIdentity


@dataclass(frozen=True, slots=True)
class Elected:
    """The chain that is followed from now on; `others` say that theirs begins otherwise."""

    identity: ChainIdentity
    by: Literal["majority", "preference"]
    others: Mapping[str, BlockHash]


def elect(voices: Mapping[str, ChainIdentity]) -> Elected:
    """What most endpoints say; of what as many say, what the first says: they are in order of preference."""
    counts = Counter(voices.values())
    chosen = max(voices.values(), key=lambda identity: counts[identity])
    is_tie = any(counts[other] == counts[chosen] for other in counts if other != chosen)
    others = {name: identity.genesis for name, identity in voices.items() if identity != chosen}
    return Elected(chosen, "preference" if is_tie else "majority", others)
