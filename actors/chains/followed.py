"""How far one chain is followed."""

from __future__ import annotations

from indexer.domain.balances import Watch
from indexer.domain.chain import Head
from indexer.domain.following.headchain import HeadChain


class Followed:
    """The blocks that were handled, and what is watched; shared by all that follow the chain."""

    def __init__(self, watch: Watch, window: int) -> None:
        self.known = HeadChain(window)
        self.watch = watch

    @property
    def tip(self) -> Head | None:
        return self.known.tip
