"""Solvers and tokens that were added while running."""

from __future__ import annotations

from collections.abc import Sequence

from bson import Int64

from indexer.domain.chain import Address
from indexer.domain.watching import Solver, WatchedToken
from repositories.database import Database
from repositories.documents.blocks import info_document, info_of
from repositories.failures import translating


class Watchlist:
    """What is watched beyond the configuration file; every change may be repeated."""

    def __init__(self, database: Database) -> None:
        self._solvers = database["solvers"]
        self._tokens = database["watched_tokens"]

    async def solvers(self) -> list[Solver]:
        """In the order of their names."""
        with translating:
            return [
                Solver(found["_id"], found["address"], _chains_of(found["chains"]))
                async for found in self._solvers.find({}).sort("_id", 1)
            ]

    async def add_solver(self, solver: Solver) -> None:
        chains = None if solver.chains is None else [Int64(chain_id) for chain_id in solver.chains]
        document = {"_id": solver.name, "address": solver.address, "chains": chains}
        with translating:
            await self._solvers.replace_one({"_id": solver.name}, document, upsert=True)

    async def remove_solver(self, name: str) -> None:
        with translating:
            await self._solvers.delete_one({"_id": name})

    async def tokens(self) -> list[WatchedToken]:
        """In the order of chain id and address."""
        with translating:
            return [
                WatchedToken(int(found["chainId"]), found["address"], info_of(found))
                async for found in self._tokens.find({}).sort([("chainId", 1), ("address", 1)])
            ]

    async def add_tokens(self, tokens: Sequence[WatchedToken]) -> None:
        for token in tokens:
            key = _key(token.chain_id, token.address)
            document = {
                "_id": key,
                "chainId": Int64(token.chain_id),
                "address": token.address,
                **info_document(token.info),
            }
            with translating:
                await self._tokens.replace_one({"_id": key}, document, upsert=True)

    async def remove_token(self, chain_id: int, address: Address) -> None:
        with translating:
            await self._tokens.delete_one({"_id": _key(chain_id, address)})


def _key(chain_id: int, address: Address) -> str:
    return f"{chain_id}:{address}"


def _chains_of(stored: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if stored is None else tuple(int(chain_id) for chain_id in stored)
