"""Of which wallets of exchange accounts all is told that is in them, since they are followed: over restarts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from indexer.domain.accounts.amounts import AccountKey, Wallet
from repositories.database import Database
from repositories.failures import translating


class Followings:
    """One document per account, which outlives it: whoever follows it again knows that nobody did meanwhile."""

    def __init__(self, database: Database) -> None:
        self._followings = database["account_followings"]

    async def of(self, account: AccountKey) -> frozenset[Wallet] | None:
        """Nothing where the account was never followed, or by an earlier release, which kept none."""
        with translating:
            found = await self._followings.find_one({"_id": str(account)})
        return None if found is None else frozenset(found["wallets"])

    async def all(self) -> Mapping[AccountKey, frozenset[Wallet]]:
        with translating:
            return {
                AccountKey(found["exchange"], found["account"]): frozenset(found["wallets"])
                async for found in self._followings.find({})
            }

    async def add(self, account: AccountKey, wallets: Collection[Wallet]) -> None:
        """All that is in these is told as well."""
        named = {"exchange": account.exchange, "account": account.name}
        change = {"$addToSet": {"wallets": {"$each": sorted(wallets)}}, "$set": named}
        with translating:
            await self._followings.update_one({"_id": str(account)}, change, upsert=True)

    async def narrow(self, account: AccountKey, wallets: Collection[Wallet]) -> None:
        """Nobody follows others any more."""
        with translating:
            await self._followings.update_one({"_id": str(account)}, {"$pull": {"wallets": {"$nin": sorted(wallets)}}})
