"""The small collections: chains, tokens, what is watched, and what a backfill keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from indexer.domain.backfill import Chunk
from indexer.domain.chain import Address, BlockHash, ChainIdentity, Holding, TokenInfo
from indexer.domain.holes import Apart, Hole, Rejoined, Rejoining, Rereading
from indexer.domain.jobs import Job
from indexer.domain.records import HoldingKey
from indexer.domain.watching import Solver, WatchedToken
from indexer.errors import WrongChain
from tests.sim.store.disk import Kept
from tests.sim.store.ports import Wire


class SimChains:
    """`chains`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def identity(self, chain_id: int) -> BlockHash | None:
        return await self._wire.read(lambda kept: kept.geneses.get(chain_id))

    async def claim(self, identity: ChainIdentity) -> None:
        known = await self._wire.write(lambda kept: kept.geneses.setdefault(identity.chain_id, identity.genesis))
        if known != identity.genesis:
            raise WrongChain("another genesis")


class SimTokens:
    """`tokens`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def get(self, chain_id: int) -> dict[Address, TokenInfo]:
        return await self._wire.read(
            lambda kept: {address: info for (chain, address), info in kept.infos.items() if chain == chain_id}
        )

    async def put(self, chain_id: int, address: Address, info: TokenInfo) -> None:
        await self._wire.write(lambda kept: kept.infos.update({(chain_id, address): info}))


class SimWatchlist:
    """`solvers` and `watched_tokens`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def solvers(self) -> list[Solver]:
        return await self._wire.read(lambda kept: [kept.solvers[name] for name in sorted(kept.solvers)])

    async def add_solver(self, solver: Solver) -> None:
        await self._wire.write(lambda kept: kept.solvers.update({solver.name: solver}))

    async def remove_solver(self, name: str) -> None:
        await self._wire.write(lambda kept: kept.solvers.pop(name, None))

    async def tokens(self) -> list[WatchedToken]:
        return await self._wire.read(lambda kept: [kept.tokens[key] for key in sorted(kept.tokens)])

    async def add_tokens(self, tokens: Sequence[WatchedToken]) -> None:
        for token in tokens:
            await self._wire.write(_putting(token))

    async def remove_token(self, chain_id: int, address: Address) -> None:
        await self._wire.write(lambda kept: kept.tokens.pop((chain_id, address), None))


class SimBackfills:
    """`backfills`, `backfill_chunks` and `backfill_covered`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def save(self, job: Job) -> None:
        frozen = replace(job, anchors=dict(job.anchors), reasons=dict(job.reasons))
        await self._wire.write(lambda kept: kept.jobs.update({job.id: frozen}))

    async def offer(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            await self._wire.write(_offering(job))

    async def offered(self, chain_id: int, known: Collection[str]) -> list[Job]:
        return await self._wire.read(
            lambda kept: [
                job
                for job in kept.jobs.values()
                if job.chain_id == chain_id and job.after is not None and job.id not in known
            ]
        )

    async def jobs(self, chain_id: int | None = None) -> list[Job]:
        found = await self._wire.read(
            lambda kept: [job for job in kept.jobs.values() if chain_id in (None, job.chain_id)]
        )
        return sorted(found, key=lambda job: (job.created, job.id))

    async def drop(self, job_id: str) -> None:
        await self._wire.write(lambda kept: kept.jobs.pop(job_id, None))

    async def put(self, job_id: str, chunk: Chunk) -> None:
        await self._wire.write(lambda kept: kept.chunks.update({(job_id, chunk.first): chunk}))

    async def chunks(self, job_id: str, *, newest_first: bool) -> AsyncIterator[Chunk]:
        keys = await self._wire.read(lambda kept: [key for key in kept.chunks if key[0] == job_id])
        for key in sorted(keys, reverse=newest_first):
            chunk = await self._wire.read(_chunk_at(key))
            if chunk is not None:
                yield chunk

    async def lowest(self, job_id: str) -> Chunk | None:
        def look(kept: Kept) -> Chunk | None:
            key = min((key for key in kept.chunks if key[0] == job_id), default=None)
            return None if key is None else kept.chunks[key]

        return await self._wire.read(look)

    async def forget(self, job_id: str) -> None:
        def delete(kept: Kept) -> None:
            kept.chunks = {key: chunk for key, chunk in kept.chunks.items() if key[0] != job_id}

        await self._wire.write(delete)

    async def covered(self, chain_id: int) -> Mapping[Holding, int]:
        return await self._wire.read(lambda kept: dict(kept.covered.get(chain_id, {})))

    async def filled_up_to(self, chain_id: int, among: Collection[Holding]) -> Mapping[Holding, int]:
        def look(kept: Kept) -> Mapping[Holding, int]:
            keys = [HoldingKey(chain_id, each) for each in among if each in kept.covered.get(chain_id, {})]
            return {key.holding: -1 if kept.holes.get(key) is not None else kept.tops[key] for key in keys}

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

    async def part(self, apart: Apart, first: int) -> None:
        await self._wire.write(_parting(apart, first))


def _offering(job: Job) -> Callable[[Kept], object]:
    return lambda kept: kept.jobs.setdefault(job.id, job)


def _putting(token: WatchedToken) -> Callable[[Kept], None]:
    stored = WatchedToken(token.chain_id, token.address, token.info)
    return lambda kept: kept.tokens.update({(token.chain_id, token.address): stored})


def _chunk_at(key: tuple[str, int]) -> Callable[[Kept], Chunk | None]:
    return lambda kept: kept.chunks.get(key)


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
