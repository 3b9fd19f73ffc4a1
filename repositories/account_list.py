"""Exchange accounts that were added while running; their credentials are sealed before they come here."""

from __future__ import annotations

from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.registry import Account
from repositories.database import Database
from repositories.failures import translating


class AccountList:
    """Every change may be repeated."""

    def __init__(self, database: Database) -> None:
        self._accounts = database["accounts"]

    async def all(self) -> list[tuple[Account, str]]:
        """With their sealed credentials, in the order of exchange and name."""
        with translating:
            return [
                (
                    Account(
                        key=AccountKey(found["exchange"], found["name"]),
                        wallets=tuple(found["wallets"]),
                        sandbox=found["sandbox"],
                        poll_seconds=found["pollSeconds"],
                        base_url=found["baseUrl"],
                    ),
                    found["sealed"],
                )
                async for found in self._accounts.find({}).sort("_id", 1)
            ]

    async def save(self, account: Account, sealed: str) -> None:
        name = str(account.key)
        document = {
            "_id": name,
            "exchange": account.key.exchange,
            "name": account.key.name,
            "wallets": list(account.wallets),
            "sandbox": account.sandbox,
            "pollSeconds": account.poll_seconds,
            "baseUrl": account.base_url,
            "sealed": sealed,
        }
        with translating:
            await self._accounts.replace_one({"_id": name}, document, upsert=True)

    async def remove(self, key: AccountKey) -> None:
        with translating:
            await self._accounts.delete_one({"_id": str(key)})
