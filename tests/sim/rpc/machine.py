"""One simulated node: a newest block of its own in the world's fork tree, and how far back its state reaches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from indexer.domain.chain import BlockHash
from tests.sim.world import Block, World

Listener = Callable[[Sequence[Block], Sequence[Block]], None]
"""Told what a machine dropped, newest first, and what it has instead, oldest first."""


class Machine:
    """Follows the world at its own pace: late, some blocks behind, on a fork, or still syncing."""

    def __init__(
        self,
        world: World,
        *,
        lag_seconds: float = 0.0,
        lag_blocks: int = 0,
        state_depth: int | None = None,
        keeps_orphans: bool = False,
        tag_lags: tuple[int, int] | None = (6, 12),
    ) -> None:
        self._world = world
        self.tip = world.canonical[-1]
        self.lag_seconds = lag_seconds
        self.lag_blocks = lag_blocks
        self.state_depth = state_depth
        self.keeps_orphans = keeps_orphans
        self.tag_lags = tag_lags
        self.is_stuck = False
        """On a fork, or syncing: it does not follow the others for now."""
        self.is_frozen = False
        """It stands still for good, and answers everything."""
        self._kept_behind = 0
        self.listeners: dict[int, Listener] = {}
        self._had: set[BlockHash] = set()

    def __str__(self) -> str:
        return (
            f"block {self.tip.head.number}, {self.lag_seconds} s and {self.lag_blocks} blocks late,"
            f" state of {self.state_depth}, orphans {self.keeps_orphans}, tags {self.tag_lags}"
        )

    # --- what it has -------------------------------------------------------------------------------------------------

    def at(self, number: int) -> Block | None:
        """The block of this number on the branch that this machine holds for canonical."""
        block, world = self.tip, self._world
        if number > block.head.number or number < 0:
            return None
        while not world.is_canonical(block.head.hash):
            if block.head.number == number:
                return block
            block = world.blocks[block.head.parent]
        return world.canonical[number]

    def find(self, block: BlockHash) -> Block | None:
        found = self._world.blocks.get(block)
        if found is None or (found.head.number > self.tip.head.number and block not in self._had):
            return None
        if self.at(found.head.number) is found:
            return found
        return found if self.keeps_orphans and block in self._had else None

    def has_state(self, block: Block) -> bool:
        return self.state_depth is None or block.head.number > self.tip.head.number - self.state_depth

    def tagged(self, level: int) -> Block | None:
        """Its safe (0) or finalized (1) block; none where it has no such tag."""
        if self.tag_lags is None:
            return None
        block = self.at(self.tip.head.number - self.tag_lags[level])
        return block if block is None or level == 0 else self._world.finalize(block)

    # --- how it follows ----------------------------------------------------------------------------------------------

    def hear(self) -> None:
        """The world has a new tip: have it, or what lies `lag_blocks` below it, after a while."""
        if self.is_stuck:
            return
        canonical = self._world.canonical
        block = canonical[max(0, len(canonical) - 1 - max(self.lag_blocks, self._kept_behind))]
        if self.lag_seconds:
            asyncio.get_running_loop().call_later(self.lag_seconds, self._follow, block)
        else:
            self.adopt(block)

    def keep_behind(self, blocks: int) -> None:
        """From now on, and nothing mends it."""
        self._kept_behind = blocks
        self.catch_up()

    def adopt(self, block: Block) -> None:
        if self.is_frozen:
            return
        dropped, added = self._between(self.tip, block)
        self.tip = block
        self._had.update(one.head.hash for one in (*dropped, *added))
        if dropped or added:
            for listener in tuple(self.listeners.values()):
                listener(dropped, added)

    def catch_up(self) -> None:
        """All is well: like the others."""
        self.is_stuck, self.lag_blocks = False, 0
        canonical = self._world.canonical
        self.adopt(canonical[max(0, len(canonical) - 1 - self._kept_behind)])

    def _follow(self, block: Block) -> None:
        if not self.is_stuck:
            self.adopt(block)

    def _between(self, old: Block, new: Block) -> tuple[list[Block], list[Block]]:
        parents = self._world.blocks
        dropped: list[Block] = []
        added: list[Block] = []
        while old is not new:
            if new.head.number >= old.head.number:
                added.append(new)
                new = parents[new.head.parent]
            else:
                dropped.append(old)
                old = parents[old.head.parent]
        return dropped, added[::-1]
