"""The exchange accounts of the file and of the API: kept, changed, and asked about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import structlog

from actors.accounts.ledger import Prepare
from actors.finishing import Finisher
from actors.patience import patiently
from actors.statusboard import StatusBoard
from indexer.app.added import AddedAccounts
from indexer.app.exchanges import Credentials, Exchanges, check_wallets
from indexer.app.followed import FollowedAccounts
from indexer.app.posts import Post
from indexer.app.settings import file_account, file_credentials
from indexer.app.waiting import Waiting
from indexer.config import RulesSettings, Settings, Venues
from indexer.domain.accounts.amounts import AccountKey, Wallet
from indexer.domain.accounts.arrivals import Permissions
from indexer.domain.accounts.registry import Account
from indexer.domain.telling.streams import exchange_stream
from indexer.errors import Impossible, NameTaken
from indexer.metrics import Metrics
from indexer.vault import Vault, VaultLocked

if TYPE_CHECKING:
    from repositories.account_list import Added
    from repositories.store import Store

log = structlog.get_logger(__name__)


class Accounts:
    """Starts, stops, changes and finds accounts by exchange and name."""

    def __init__(
        self,
        *,
        store: Store,
        board: StatusBoard,
        supervisor: Post,
        broadcaster: Post,
        finisher: Finisher,
        prepare: Prepare,
        metrics: Metrics,
        vault: Callable[[], Vault],
        waiting: Waiting,
        told: Callable[[], Mapping[str, int]],
    ) -> None:
        self._book = AddedAccounts(book=store.account_list, vault=vault)
        self._waiting = waiting
        self._exchanges = Exchanges()
        self._followed = FollowedAccounts(
            store=store,
            board=board,
            supervisor=supervisor,
            broadcaster=broadcaster,
            finisher=finisher,
            prepare=prepare,
            metrics=metrics,
            exchanges=self._exchanges,
            told=told,
        )
        self._rules = RulesSettings()
        self._of_file: frozenset[AccountKey] = frozenset()
        self._hidden: tuple[AccountKey, ...] = ()
        self._changing = asyncio.Lock()

    # --- life --------------------------------------------------------------------------------------------------------

    async def load(self, settings: Settings) -> None:
        """Know all of them before anybody may ask, or add one; `start` follows them."""
        self._of_file, self._rules = _keys_of(settings), settings.rules
        added = [one.account for one in self._known(await self._book.all())]
        in_file = [file_account(one) for one in settings.exchanges.values()]  # a name in the file goes first
        known = {account.key: account for account in await self._completed((*added, *in_file))}
        await self._followed.expect(tuple(known.values()))

    async def start(self, settings: Settings) -> None:
        """Follow those of the file, and those that were added in earlier lives."""
        async with self._changing:
            self._rules = settings.rules
            for one in settings.exchanges.values():
                await self._follow(file_account(one), file_credentials(one), rules=one.rules)
            await self._follow_added(await self._added())

    async def _added(self) -> Sequence[Added]:
        """Those of the API, however long the store takes: other changes of the file are in force already."""
        return self._known(await patiently("accounts", self._book.all))

    def _known(self, added: Sequence[Added]) -> Sequence[Added]:
        """It is noted which of them the file hides."""
        self._hidden = tuple(one.account.key for one in added if one.account.key in self._of_file)
        return added

    async def _follow_added(self, added: Sequence[Added]) -> None:
        """Those of the API that are not followed; a name in the file goes first."""
        for one in added:
            account = one.account
            if account.key in self._of_file or self._followed.has(account.key):
                continue
            try:
                credentials = self._book.credentials(one)
            except VaultLocked as error:
                await self._followed.hold_back(account, str(error))
                continue
            await self._follow(account, credentials)

    async def ready_to_apply(self) -> None:
        """Raises while the list of those that were added cannot be read."""
        await self._book.check()

    async def apply(self, old: Settings, new: Settings) -> None:
        """What differs between two files; accounts that were added over the API go on, but for rules that changed."""
        async with self._changing:
            changed = {
                file_account(settings).key: settings
                for name, settings in new.exchanges.items()
                if old.exchanges.get(name) != settings
            }
            gone = {
                file_account(settings).key
                for name, settings in old.exchanges.items()
                if new.exchanges.get(name) != settings
            }
            stale = gone | changed.keys()  # of a name that is new in the file one may have been added over the API
            self._of_file = _keys_of(new)
            if new.rules != old.rules:
                stale |= {account.key for account in self._followed.followed() if account.source == "api"}
            self._rules = new.rules
            added = await self._added()
            in_file = [file_account(settings) for settings in changed.values()]
            known = await self._completed((*(one.account for one in added), *in_file))
            coming = {account.key: account for account in known}
            for key in stale:
                await self._followed.unfollow(key, until=coming.get(key))
            for settings in changed.values():
                await self._follow(file_account(settings), file_credentials(settings), rules=settings.rules)
            await self._follow_added(added)

    def end_waiting(self) -> None:
        """Whoever waits for a venue is told that the service stops."""
        self._followed.end_waiting()

    async def close(self) -> None:
        """After the supervisor has ended every actor."""
        await self._followed.close()
        await self._exchanges.close()

    # --- asking ------------------------------------------------------------------------------------------------------

    def expected(self) -> Mapping[str, str]:
        return {exchange_stream(*account.key): str(account.key) for account in self.all()}

    def all(self) -> Sequence[Account]:
        return self._followed.all()

    def hidden(self) -> Sequence[AccountKey]:
        """Those that were added over the API, while the file has one of the same name."""
        return self._hidden

    def account(self, key: AccountKey) -> Account:
        return self._followed.account(key)

    def permissions(self, key: AccountKey) -> Permissions | None:
        """What the key may do, where the venue told it when it was tried; those of the file are not."""
        return None if key in self._of_file else self._book.permissions(key)

    def exchanges(self) -> Venues:
        """The exchanges that are known. Safe from any thread."""
        return self._exchanges.known()

    async def refresh(self, key: AccountKey, wallets: Sequence[Wallet] = (), max_age_seconds: float = 0.0) -> None:
        """Read them now; what differs is committed and told before this returns.

        Those that were read not longer than `max_age_seconds` ago are not asked for again.
        """
        one = self._followed.one(key)
        check_wallets(one.account.key.exchange, wallets, one.account.wallets)
        read = one.read_unless_recent(wallets, max_age_seconds) if max_age_seconds else one.read_now(wallets)
        await self._waiting.unless_over(read)

    def cache(self) -> Mapping[str, Any] | None:
        """How often an answer was at hand; nothing where no account is followed."""
        return self._exchanges.cache()

    # --- changing ----------------------------------------------------------------------------------------------------

    async def add(self, account: Account, credentials: Credentials) -> Permissions:
        """Try the key, keep the account and follow it."""
        self._refuse_taken(account.key)
        await self._exchanges.prepare()
        account = self._exchanges.checked(account)
        permissions = await self._tried(account, credentials)
        async with self._changing:
            self._refuse_taken(account.key)  # somebody may have been quicker
            await self._book.keep(account, credentials, permissions)
            await self._follow(account, credentials)
        log.info("account_added", exchange=account.key.exchange, account=account.key.name)
        return permissions

    async def change(
        self,
        key: AccountKey,
        *,
        credentials: Credentials | None = None,
        wallets: tuple[Wallet, ...] | None = None,
        poll_seconds: float | EllipsisType | None = ...,
    ) -> Permissions | None:
        """Other credentials, wallets (none for all) or pace (nothing for the usual one); its history goes on."""
        changed = partial(self._changed, key, wallets, poll_seconds)
        tried = None if credentials is None else await self._tried(changed(), credentials)
        async with self._changing:
            account = changed()
            if credentials is None:
                kept, permissions = self._followed.one(key).credentials, self.permissions(key)
                if account == self.account(key):
                    return permissions  # nothing to do: its stream goes on
            else:
                kept, permissions = credentials, tried
            await self._book.keep(account, kept, permissions)
            await self._followed.unfollow(key, until=account)
            await self._follow(account, kept)
        log.info("account_changed", exchange=key.exchange, account=key.name)
        return permissions

    async def remove(self, key: AccountKey) -> None:
        """Stop following it and forget its credentials; what it held stays in history."""
        async with self._changing:
            self._api_made(key)
            await self._book.forget(key)
            await self._followed.unfollow(key)
        log.info("account_removed", exchange=key.exchange, account=key.name)

    # --- parts -------------------------------------------------------------------------------------------------------

    def _refuse_taken(self, key: AccountKey) -> None:
        if self._followed.knows(key):
            raise NameTaken(f"there is an account {key} already", "name")

    def _changed(
        self, key: AccountKey, wallets: tuple[Wallet, ...] | None, poll_seconds: float | EllipsisType | None
    ) -> Account:
        known = self._api_made(key)
        account = replace(
            known,
            wallets=known.wallets if wallets is None else wallets,
            poll_seconds=known.poll_seconds if isinstance(poll_seconds, EllipsisType) else poll_seconds,
        )
        return self._exchanges.checked(account)

    async def _tried(self, account: Account, credentials: Credentials) -> Permissions:
        """What the key may do; whoever waits for that has an answer when the service stops.

        A venue takes up to 20 s to answer: that long no other change may wait, so this is not done within one.
        """
        return await self._waiting.unless_over(self._exchanges.tried(account, credentials))

    async def _completed(self, accounts: Sequence[Account]) -> Sequence[Account]:
        """With all wallets there are where one names none: only what is asked about by name can be shown."""
        if not all(account.wallets for account in accounts):
            await self._exchanges.prepare()
        return [self._exchanges.completed(account) for account in accounts]

    def _api_made(self, key: AccountKey) -> Account:
        account = self.account(key)
        if account.source == "file":
            raise Impossible(f"{key} is defined in the configuration file; change it there and reload", "name")
        return account

    async def _follow(self, account: Account, credentials: Credentials, rules: RulesSettings | None = None) -> None:
        await self._followed.follow(account, credentials, rules or self._rules)


def _keys_of(settings: Settings) -> frozenset[AccountKey]:
    return frozenset(file_account(one).key for one in settings.exchanges.values())
