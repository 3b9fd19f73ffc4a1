"""`repositories.coverage` on a simulated disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from indexer.domain.chain import Holding
from indexer.domain.recording.holes import Apart, Hole, Rejoined, Rejoining, Rereading
from indexer.domain.recording.records import HoldingKey
from tests.sim.store.disk import Kept
from tests.sim.store.ports import Wire


class SimCoverage:
    """`backfill_covered`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def covered(self, chain_id: int) -> Mapping[Holding, int]:
        return await self._wire.read(lambda kept: dict(kept.covered.get(chain_id, {})))

    async def filled_up_to(self, chain_id: int, among: Collection[Holding]) -> Mapping[Holding, int]:
        def look(kept: Kept) -> Mapping[Holding, int]:
            keys, covered = [HoldingKey(chain_id, each) for each in among], kept.covered.get(chain_id, {})
            open_ones = {key.holding: -1 for key in keys if kept.holes.get(key) is not None}
            return {key.holding: kept.tops[key] for key in keys if key.holding in covered} | open_ones

        return await self._wire.read(look)

    async def cover(self, chain_id: int, first: int, anchors: Mapping[Holding, int]) -> None:
        for holding, top in anchors.items():
            await self._wire.write(_covering(chain_id, holding, first, top))

    async def close(self, chain_id: int, first: int, ends: Mapping[Holding, int]) -> None:
        """Holes of these balances, as far as they are filled now from that block to below the end of each."""
        holes, covered = await self.holes(chain_id, ends), await self.covered(chain_id)
        for holding, hole in holes.items():
            if first < hole.end <= ends[holding]:
                left = hole.below(first, covered.get(holding))
                await self._wire.write(_leaving(HoldingKey(chain_id, holding), hole, left))

    async def holes(self, chain_id: int, among: Collection[Holding] | None = None) -> dict[Holding, Hole]:
        return await self._wire.read(
            lambda kept: {
                key.holding: hole
                for key, hole in kept.holes.items()
                if hole is not None and key.chain_id == chain_id and (among is None or key.holding in among)
            }
        )

    async def reread(self, reread: Rereading, first: int) -> None:
        await self._wire.write(_rereading(reread, first))

    async def rejoin(self, rejoining: Rejoining) -> None:
        chain_id = rejoining.chain_id
        for holding, hole, left, told in rejoining.left_of(await self.holes(chain_id, rejoining.holdings)):
            await self._wire.write(_leaving(HoldingKey(chain_id, holding), hole, left, told))
        if rejoining.cut is not None:
            await self._wire.write(_cutting(chain_id, rejoining.cut))

    async def part(self, parted: Sequence[tuple[Apart, int]]) -> None:
        for apart, first in parted:
            await self._wire.write(_parting(apart, first))


def _leaving(key: HoldingKey, hole: Hole, left: Hole | None, told: int | None = None) -> Callable[[Kept], None]:
    def leave(kept: Kept) -> None:
        if kept.holes.get(key) == hole and (told is None or kept.hole_seqs.get(key, 0) < told):
            kept.holes[key] = left
            if told is not None:
                kept.hole_seqs[key] = told

    return leave


def _rereading(reread: Rereading, first: int) -> Callable[[Kept], None]:
    def mark(kept: Kept) -> None:
        seq = max(reread.each.values())
        for holding in reread.each:
            key = HoldingKey(reread.chain_id, holding)
            if kept.hole_seqs.get(key, 0) < seq:
                there = kept.holes.get(key)
                kept.holes[key] = Hole(first if there is None else min(first, there.first), reread.number)
                kept.hole_seqs[key] = seq

    return mark


def _cutting(chain_id: int, cut: Rejoined) -> Callable[[Kept], None]:
    def mark(kept: Kept) -> None:
        for holding in kept.covered.get(chain_id, ()):
            key = HoldingKey(chain_id, holding)
            if kept.holes.get(key) is None and kept.hole_seqs.get(key, 0) < cut.seq and cut.above + 1 < cut.number:
                kept.holes[key] = Hole(cut.above + 1, cut.number)
                kept.hole_seqs[key] = cut.seq

    return mark


def _parting(apart: Apart, first: int) -> Callable[[Kept], None]:
    def part(kept: Kept) -> None:
        key = HoldingKey(apart.chain_id, apart.holding)
        if kept.hole_seqs.get(key, 0) < apart.seq:
            there = kept.holes.get(key)
            kept.holes[key] = Hole(first if there is None else min(first, there.first), apart.number)
            kept.hole_seqs[key] = apart.seq

    return part


def _covering(chain_id: int, holding: Holding, first: int, top: int) -> Callable[[Kept], None]:
    def cover(kept: Kept) -> None:
        covered = kept.covered.setdefault(chain_id, {})
        covered[holding] = min(first, covered.get(holding, first))
        key = HoldingKey(chain_id, holding)
        kept.tops[key] = max(top, kept.tops.get(key, top))

    return cover
