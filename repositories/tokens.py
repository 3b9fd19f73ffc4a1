"""What tokens say of themselves: asked once, then kept."""

from __future__ import annotations

from bson import Int64

from indexer.domain.chain import Address, TokenInfo
from repositories.database import Database
from repositories.documents.blocks import info_document, info_of
from repositories.failures import translating


class TokenBook:
    """Decimals, symbol and name of every token that was ever watched."""

    def __init__(self, database: Database) -> None:
        self._tokens = database["tokens"]

    async def get(self, chain_id: int) -> dict[Address, TokenInfo]:
        with translating:
            return {found["address"]: info_of(found) async for found in self._tokens.find({"chainId": chain_id})}

    async def put(self, chain_id: int, address: Address, info: TokenInfo) -> None:
        key = f"{chain_id}:{address}"
        document = {"_id": key, "chainId": Int64(chain_id), "address": address, **info_document(info)}
        with translating:
            await self._tokens.replace_one({"_id": key}, document, upsert=True)
