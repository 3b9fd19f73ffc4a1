"""Exchange accounts that were added over the API: kept with their credentials sealed, and what their keys may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import orjson
import structlog

from indexer.app.exchanges import Credentials
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.arrivals import Permissions
from indexer.domain.accounts.registry import Account
from indexer.vault import Vault, VaultLocked

if TYPE_CHECKING:
    from repositories.account_list import AccountList, Added

log = structlog.get_logger(__name__)


class AddedAccounts:
    """The list of them in the store; the vault is opened when there is something to seal or unseal."""

    def __init__(self, *, book: AccountList, vault: Callable[[], Vault]) -> None:
        self._book = book
        self._vault = vault
        self._permissions: Mapping[AccountKey, Permissions] = {}

    async def all(self) -> Sequence[Added]:
        """What else is known of them is taken over."""
        added = await self._book.all()
        self._permissions = {one.account.key: one.permissions for one in added if one.permissions is not None}
        return added

    async def check(self) -> None:
        """Raises while the list cannot be read."""
        await self._book.all()

    def permissions(self, key: AccountKey) -> Permissions | None:
        """What the key may do, where the venue told it when it was tried."""
        return self._permissions.get(key)

    def credentials(self, one: Added) -> Credentials:
        """Raises `VaultLocked`."""
        credentials: Credentials = orjson.loads(self._opened().unseal(one.sealed, str(one.account.key)))
        return credentials

    async def keep(self, account: Account, credentials: Credentials, permissions: Permissions | None) -> None:
        sealed = self._opened().seal(orjson.dumps(dict(credentials)), str(account.key))
        await self._book.save(account, sealed, permissions)
        if permissions is not None:
            self._permissions = {**self._permissions, account.key: permissions}

    async def forget(self, key: AccountKey) -> None:
        await self._book.remove(key)
        self._permissions = {other: known for other, known in self._permissions.items() if other != key}

    def _opened(self) -> Vault:
        try:
            return self._vault()
        except VaultLocked as error:
            log.error("vault_locked", path=str(error.path or ""), reason=str(error))  # noqa: TRY400 -- no mistake of ours
            raise
