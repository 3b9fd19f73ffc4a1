"""The small collections: chains, tokens, what is watched, and what a backfill keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import replace

from indexer.domain.chain import Address, BlockHash, ChainIdentity, TokenInfo
from indexer.domain.history.backfill import Chunk
from indexer.domain.history.jobs import Job
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
    """`backfills` and `backfill_chunks`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def save(self, job: Job) -> None:
        frozen = replace(job, anchors=dict(job.anchors), reasons=dict(job.reasons))
        await self._wire.write(lambda kept: kept.jobs.update({job.id: frozen}))

    async def offer(self, jobs: Iterable[Job]) -> None:
        now = int(asyncio.get_running_loop().time() * 1000)  # of commits it is the real one
        for created, job in enumerate(jobs, now):
            await self._wire.write(_offering(replace(job, created=created)))

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


def _offering(job: Job) -> Callable[[Kept], object]:
    return lambda kept: kept.jobs.setdefault(job.id, job)


def _putting(token: WatchedToken) -> Callable[[Kept], None]:
    stored = WatchedToken(token.chain_id, token.address, token.info)
    return lambda kept: kept.tokens.update({(token.chain_id, token.address): stored})


def _chunk_at(key: tuple[str, int]) -> Callable[[Kept], Chunk | None]:
    return lambda kept: kept.chunks.get(key)
