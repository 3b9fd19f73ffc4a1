"""Exchange accounts that were added while running; their credentials are sealed before they come here."""

from __future__ import annotations

from typing import Any, NamedTuple

from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.arrivals import Permissions
from indexer.domain.accounts.registry import Account
from repositories.database import Database
from repositories.failures import translating


class Added(NamedTuple):
    """One of them; what its key may do as the venue said when it was tried, nothing of one that was added earlier."""

    account: Account
    sealed: str
    permissions: Permissions | None = None


class AccountList:
    """Every change may be repeated."""

    def __init__(self, database: Database) -> None:
        self._accounts = database["accounts"]

    async def all(self) -> list[Added]:
        """In the order of exchange and name."""
        with translating:
            return [
                Added(
                    Account(
                        key=AccountKey(found["exchange"], found["name"]),
                        wallets=tuple(found["wallets"]),
                        sandbox=found["sandbox"],
                        poll_seconds=found["pollSeconds"],
                        base_url=found["baseUrl"],
                    ),
                    found["sealed"],
                    _permissions_of(found.get("permissions")),
                )
                async for found in self._accounts.find({}).sort("_id", 1)
            ]

    async def save(self, account: Account, sealed: str, permissions: Permissions | None) -> None:
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
            "permissions": _permissions_document(permissions),
        }
        with translating:
            await self._accounts.replace_one({"_id": name}, document, upsert=True)

    async def remove(self, key: AccountKey) -> None:
        with translating:
            await self._accounts.delete_one({"_id": str(key)})


def _permissions_document(permissions: Permissions | None) -> dict[str, Any] | None:
    if permissions is None:
        return None
    return {
        "canRead": permissions.can_read,
        "canTrade": permissions.can_trade,
        "canWithdraw": permissions.can_withdraw,
    }


def _permissions_of(document: dict[str, Any] | None) -> Permissions | None:
    if document is None:
        return None
    return Permissions(document["canRead"], document["canTrade"], document["canWithdraw"])
