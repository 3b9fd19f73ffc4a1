"""Reads every watched balance again now and then, beside the heads, which never wait for it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, Protocol

import structlog

from actors.chains.followed import Followed
from actors.messages import Differed, Failed
from indexer.domain.chain import BlockHash, Head, Holding, KnownBlock
from indexer.domain.following.views import Readings
from indexer.domain.health.unread import Unread
from indexer.errors import BlockUnknown, Permanent, StateMissing, Transient

log = structlog.get_logger(__name__)

DISTANCE_BLOCKS: Final = 4
DISTANCE_SECONDS: Final = 15.0
"""How far behind the head: so deep that an endpoint which lags by a block or two has it and most reorgs end above it,
so near that a node which keeps the state of 128 blocks still has it when the last of many balances is read. Where
blocks are slow, or none come at all, time does the same."""

PART: Final = 500
"""Balances in one request: heads get their turn in between."""

ATTEMPTS: Final = 3
PAUSE_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.25


class Node(Protocol):
    """Reads balances at exactly the block asked for."""

    async def read(self, wanted: Mapping[KnownBlock, Collection[Holding]]) -> dict[BlockHash, Readings]: ...


class Records(Protocol):
    """What was recorded, and what could not be read."""

    @property
    def unread(self) -> Unread: ...

    def unlike(self, number: int, values: Mapping[Holding, int]) -> frozenset[Holding]: ...


class Syncer:
    """Every `seconds`, one round; `found` hears which balances are not what our records say, or cannot be read."""

    def __init__(
        self,
        *,
        chain: str,
        node: Node,
        followed: Followed,
        records: Records,
        seconds: float,
        may: Callable[[], bool],
        breathe: Callable[[], Awaitable[None]],
        jitter: Callable[[], float],
    ) -> None:
        self._log = log.bind(chain=chain)
        self._node = node
        self._followed = followed
        self._records = records
        self._seconds = seconds
        self._may = may
        self._breathe = breathe
        self._jitter = jitter
        self._failing = False
        self._changed = asyncio.Event()

    @property
    def seconds(self) -> float:
        return self._seconds

    def every(self, seconds: float) -> None:
        """The next round is so long from now, and so are those that follow."""
        self._seconds = seconds
        self._changed.set()

    async def run(self, found: Callable[[Differed | Failed], None]) -> None:
        """Until cancelled; a node's failure only ends a round."""
        await self._rest(self._seconds * (0.5 + self._jitter() / 2))
        while True:
            pause = PAUSE_SECONDS
            if self._may():
                self._note(await self.round(found))
                pause = self._seconds
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        while True:
            self._changed.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                return
            seconds = self._seconds

    async def round(self, found: Callable[[Differed | Failed], None]) -> str | None:
        """Read everything once; nothing when all was read, else why not."""
        reason = None
        behind = min(DISTANCE_SECONDS, self._seconds / 4)
        for _ in range(ATTEMPTS):
            try:
                await self._read(await self._block(behind), found)
            except StateMissing as error:
                # It keeps the state of its newest blocks at most: better near the head than not at all.
                reason, behind = str(error), 0.0
            except (Transient, Permanent) as error:
                reason = str(error)
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return None
        return reason

    async def _block(self, seconds: float) -> Head:
        """Our newest block, once it is a little behind the head."""
        block = self._tip()
        for _ in range(math.ceil(seconds / LOOK_SECONDS)):
            if self._tip().number >= block.number + DISTANCE_BLOCKS:
                break
            await asyncio.sleep(LOOK_SECONDS)
        return block

    async def _read(self, block: Head, found: Callable[[Differed | Failed], None]) -> None:
        for part in _parts(sorted(self._followed.watch.holdings())):
            await self._breathe()
            readings = (await self._node.read({block: part})).get(block.hash, Readings())
            # Between here and the end nobody else runs: our records are those of a chain that has this block.
            if self._followed.known.find(block.hash) is None:
                raise BlockUnknown(f"block {block.number} was taken back, or is too old by now")
            unread = self._records.unread.held.keys()
            if unlike := self._records.unlike(block.number, readings.values) | (unread & readings.values.keys()):
                found(Differed(unlike))
            if failed := {key: why for key, why in readings.unreadable.items() if key not in unread}:
                found(Failed(block, failed))

    def _tip(self) -> Head:
        tip = self._followed.tip
        if tip is None:
            raise BlockUnknown("no block is known yet")
        return tip

    def _note(self, reason: str | None) -> None:
        if reason is not None and not self._failing:
            self._log.warning("sync_failed", reason=reason)
        elif reason is None and self._failing:
            self._log.info("sync_works")
        self._failing = reason is not None


def _parts(holdings: Sequence[Holding]) -> Iterator[Sequence[Holding]]:
    for start in range(0, len(holdings), PART):
        yield holdings[start : start + PART]
