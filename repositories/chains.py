"""Which chain stands behind each chain id that this store has followed."""

from __future__ import annotations

from bson import Int64
from pymongo.errors import DuplicateKeyError

from indexer.domain.chain import BlockHash, ChainIdentity
from indexer.errors import WrongChain
from repositories.database import Database
from repositories.failures import translating


class ChainBook:
    """Genesis hashes by chain id: two chains under one id must never mix in one store."""

    def __init__(self, database: Database) -> None:
        self._chains = database["chains"]

    async def identity(self, chain_id: int) -> BlockHash | None:
        """The genesis hash that this store knows the chain by."""
        with translating:
            found = await self._chains.find_one({"_id": chain_id})
        return None if found is None else found["genesis"]

    async def claim(self, identity: ChainIdentity) -> None:
        """From now on the id belongs to this chain; `WrongChain` when it belongs to another."""
        try:
            with translating:
                await self._chains.insert_one({"_id": Int64(identity.chain_id), "genesis": identity.genesis})
        except DuplicateKeyError:
            known = await self.identity(identity.chain_id)
            if known != identity.genesis:
                raise WrongChain(
                    f"chain {identity.chain_id}: the node's genesis block is {identity.genesis}, but this store has "
                    f"followed a chain with genesis {known} under that id; use another database (store.database) or "
                    "data_dir for the new chain, or point rpc_urls at the old one",
                ) from None
