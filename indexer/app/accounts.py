"""The exchange accounts that are followed just now: each is one child of the supervisor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final, get_args

import orjson
import structlog
from pykka import ActorRef

from actors.accounts.account import AccountActor
from actors.accounts.ledger import AccountLedger
from actors.accounts.messages import RefreshWallets
from actors.base import Report
from actors.messages import Begin, Committed
from actors.statusboard import StatusBoard
from actors.supervisor import StartChild, StopChild
from indexer.app.exchanges import Credentials, Exchanges, check_wallets
from indexer.app.posts import Post
from indexer.app.settings import file_account, file_credentials, rules_of
from indexer.config import RulesSettings, Settings, Venues
from indexer.domain.accounts.amounts import AccountKey, Wallet
from indexer.domain.accounts.arrivals import Permissions
from indexer.domain.accounts.breaker import BreakerState
from indexer.domain.accounts.polling import Rhythm
from indexer.domain.accounts.registry import Account
from indexer.domain.commits import Commit
from indexer.domain.status import StreamStatus
from indexer.domain.streams import exchange_stream
from indexer.errors import (
    Impossible,
    NameTaken,
    NotFound,
    VenueUnreachable,
)
from indexer.log import hide
from indexer.metrics import Metrics
from indexer.vault import Vault, VaultLocked

if TYPE_CHECKING:
    from indexer.clients.exchange.account import ExchangeAccount  # importing ccxt takes a second and 60 MB
    from repositories.store import Store

log = structlog.get_logger(__name__)

REFRESH_SECONDS: Final = 30.0


@dataclass(slots=True)
class _Followed:
    account: Account
    credentials: Credentials
    connection: ExchangeAccount
    post: Post
    rules: RulesSettings
    permissions: Permissions | None = None
    lives: int = 0


class Accounts:
    """Starts, stops, changes and finds accounts by exchange and name."""

    def __init__(
        self,
        *,
        store: Store,
        board: StatusBoard,
        supervisor: Post,
        broadcaster: Post,
        prepare: Callable[[Commit], None],
        metrics: Metrics,
        vault: Callable[[], Vault],
    ) -> None:
        self._store = store
        self._board = board
        self._supervisor = supervisor
        self._broadcaster = broadcaster
        self._prepare = prepare
        self._metrics = metrics
        self._vault = vault
        self._followed: dict[AccountKey, _Followed] = {}
        self._held_back: dict[AccountKey, tuple[Account, str]] = {}
        """Accounts that cannot be followed, and why: credentials that cannot be unsealed, an exchange there is not."""
        self._exchanges = Exchanges()
        self._rules = RulesSettings()
        self._changing = asyncio.Lock()

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self, settings: Settings) -> None:
        """Follow those of the file, and those that were added in earlier lives."""
        self._rules = settings.rules
        for one in settings.exchanges.values():
            await self._follow(file_account(one), file_credentials(one), rules=one.rules)
        await self._follow_added()

    async def _follow_added(self) -> None:
        """Those of the API that are not followed; a name in the file goes first."""
        for account, sealed in await self._store.account_list.all():
            if account.key in self._followed:
                continue
            try:
                credentials = orjson.loads(self._vault().unseal(sealed, str(account.key)))
            except VaultLocked as error:
                self._hold_back(account, str(error))
                continue
            await self._follow(account, credentials)

    def _hold_back(self, account: Account, reason: str) -> None:
        """Nobody follows it, and whoever looks is told so: a silent stop is the worst of all."""
        if self._held_back.get(account.key) != (account, reason):
            log.error("account_held_back", exchange=account.key.exchange, account=account.key.name, reason=reason)
        self._held_back[account.key] = (account, reason)
        stream = exchange_stream(*account.key)
        self._board.show(StreamStatus(stream, str(account.key), "suspended", last_error=reason))

    async def apply(self, old: Settings, new: Settings) -> None:
        """What differs between two files; accounts that were added over the API go on, but for rules that changed."""
        async with self._changing:
            stale = {
                file_account(settings).key
                for name, settings in old.exchanges.items()
                if new.exchanges.get(name) != settings
            }
            if new.rules != old.rules:
                stale |= {key for key, one in self._followed.items() if one.account.source == "api"}
            self._rules = new.rules
            for key in stale:
                await self._unfollow(key)
            for name, settings in new.exchanges.items():
                if old.exchanges.get(name) != settings:
                    await self._unfollow(file_account(settings).key)  # one of this name was added over the API
                    await self._follow(file_account(settings), file_credentials(settings), rules=settings.rules)
            await self._follow_added()

    async def close(self) -> None:
        """After the supervisor has ended every actor."""
        for one in self._followed.values():
            await one.connection.close()
        await self._exchanges.close()

    # --- asking ------------------------------------------------------------------------------------------------------

    def expected(self) -> Mapping[str, str]:
        return {exchange_stream(*account.key): str(account.key) for account in self.all()}

    def all(self) -> Sequence[Account]:
        known = {key: account for key, (account, _) in self._held_back.items()}
        known |= {key: one.account for key, one in self._followed.items()}
        return tuple(account for _, account in sorted(known.items()))

    def account(self, key: AccountKey) -> Account:
        return self._held_back[key][0] if key in self._held_back else self._one(key).account

    def permissions(self, key: AccountKey) -> Permissions | None:
        """What the key may do, where the venue told it at registration."""
        return None if key in self._held_back else self._one(key).permissions

    def exchanges(self) -> Venues:
        """The exchanges that are known. Safe from any thread."""
        return self._exchanges.known()

    async def refresh(self, key: AccountKey, wallets: Sequence[Wallet] = (), max_age_seconds: float = 0.0) -> None:
        """Read them now; what differs is committed and told before this returns.

        Those that were read not longer than `max_age_seconds` ago are not asked for again.
        """
        one = self._one(key)
        check_wallets(one.account.key.exchange, wallets, one.account.wallets)
        if not max_age_seconds:
            await self._read_now(one, wallets)
            return
        asked = wallets or one.account.wallets
        recent = (
            one.connection.recent(wallet, max_age_seconds, partial(self._read_now, one, (wallet,))) for wallet in asked
        )
        await asyncio.gather(*recent)

    def cache(self) -> Mapping[str, Any] | None:
        """How often an answer was at hand; nothing where no account is followed."""
        return self._exchanges.cache()

    async def _read_now(self, one: _Followed, wallets: Sequence[Wallet]) -> None:
        key = one.account.key
        ref = one.post.ref
        if ref is None:
            raise VenueUnreachable(f"{key} is being restarted; try again in a moment")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ref.tell(RefreshWallets(frozenset(wallets), done))
        try:
            await asyncio.wait_for(done, REFRESH_SECONDS)
        except TimeoutError:
            raise VenueUnreachable(f"{key} did not answer within {REFRESH_SECONDS:g} s") from None

    # --- changing ----------------------------------------------------------------------------------------------------

    async def add(self, account: Account, credentials: Credentials) -> Permissions:
        """Try the key, keep the account and follow it."""
        async with self._changing:
            if account.key in self._followed or account.key in self._held_back:
                raise NameTaken(f"there is an account {account.key} already", "name")
            await self._exchanges.prepare()
            account = self._exchanges.checked(account)
            permissions = await self._exchanges.tried(account, credentials)
            await self._keep(account, credentials)
            await self._follow(account, credentials, permissions)
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
        """Other credentials, wallets or pace (nothing for the usual one); the account's history goes on."""
        async with self._changing:
            known = self._api_made(key)
            account = replace(
                known,
                wallets=known.wallets if wallets is None else wallets,
                poll_seconds=known.poll_seconds if isinstance(poll_seconds, EllipsisType) else poll_seconds,
            )
            account = self._exchanges.checked(account)
            if credentials is None:
                one = self._one(key)
                if account == known:
                    return one.permissions  # nothing to do: its stream goes on
                kept, permissions = one.credentials, one.permissions
            else:
                kept, permissions = credentials, await self._exchanges.tried(account, credentials)
            await self._keep(account, kept)
            await self._unfollow(key)
            await self._follow(account, kept, permissions)
        log.info("account_changed", exchange=key.exchange, account=key.name)
        return permissions

    async def remove(self, key: AccountKey) -> None:
        """Stop following it and forget its credentials; what it held stays in history."""
        async with self._changing:
            self._api_made(key)
            await self._store.account_list.remove(key)
            await self._unfollow(key)
        log.info("account_removed", exchange=key.exchange, account=key.name)

    # --- parts -------------------------------------------------------------------------------------------------------

    def _one(self, key: AccountKey) -> _Followed:
        if key in self._held_back:
            raise Impossible(f"{key} is not followed: {self._held_back[key][1]}", "credentials")
        one = self._followed.get(key)
        if one is None:
            raise NotFound(f"there is no account {key}", "name")
        return one

    def _api_made(self, key: AccountKey) -> Account:
        account = self.account(key)
        if account.source == "file":
            raise Impossible(f"{key} is defined in the configuration file; change it there and reload", "name")
        return account

    async def _keep(self, account: Account, credentials: Credentials) -> None:
        sealed = self._vault().seal(orjson.dumps(dict(credentials)), str(account.key))
        await self._store.account_list.save(account, sealed)

    async def _follow(
        self,
        account: Account,
        credentials: Credentials,
        permissions: Permissions | None = None,
        rules: RulesSettings | None = None,
    ) -> None:
        await self._exchanges.prepare()
        try:
            account = self._exchanges.checked(account)
            self._exchanges.check_credentials(account.key.exchange, credentials)
        except Impossible as error:
            self._hold_back(account, str(error))
            return
        hide(credentials.values())
        post = Post()
        self._followed[account.key] = _Followed(
            account,
            credentials,
            self._exchanges.connection(account, credentials),
            post,
            rules or self._rules,
            permissions,
        )
        self._metrics.watch_inbox(_child(account.key), lambda: post.waiting)
        for state in get_args(BreakerState):
            count = partial(self._breakers, account.key.exchange, state)
            self._metrics.exchange(account.key.exchange).watch_breakers(state, count)
        await self._ask_supervisor(StartChild(_child(account.key), lambda report: self._give_life(account.key, report)))

    async def _unfollow(self, key: AccountKey) -> None:
        self._held_back.pop(key, None)
        one = self._followed.pop(key, None)
        if one is not None:
            await self._ask_supervisor(StopChild(_child(key)))
            await one.connection.close()
        self._board.forget(exchange_stream(*key))

    def _breakers(self, exchange: str, state: BreakerState) -> int:
        """How many accounts of this exchange have theirs in this state."""
        statuses = (self._board.one(exchange_stream(*key)) for key in self._followed if key.exchange == exchange)
        accounts = (status.account for status in statuses if status is not None)
        return sum(account is not None and account.breaker.state == state for account in accounts)

    def _give_life(self, key: AccountKey, report: Report) -> ActorRef[Any]:
        one = self._followed[key]
        fast = one.account.poll_seconds or Rhythm().fast
        ref = AccountActor.start(
            venue=one.connection,
            ledger=AccountLedger(
                account=key,
                commits=self._store.commits,
                checkpoints=self._store.checkpoints,
                books=self._store.accounts,
                publish=lambda commit: self._broadcaster.tell(Committed(commit)),
                prepare=self._prepare,
                written=lambda seconds: self._metrics.store_call("append", "ok", seconds),
            ),
            rules=rules_of(one.rules, self._exchanges.exceptions(key.exchange)),
            counts=self._metrics.exchange(key.exchange),
            resumed=self._broadcaster.tell,
            show=self._board.show,
            rhythm=Rhythm(fast=fast, slow=max(fast, Rhythm().slow), slowest=max(fast, Rhythm().slowest)),
            restarts=one.lives,
            report=report,
        )
        one.lives += 1
        one.post.move_to(ref)
        ref.tell(Begin())
        return ref

    async def _ask_supervisor(self, order: object) -> None:
        ref = self._supervisor.ref
        if ref is not None:
            await ref.ask(order, block=False)


def _child(key: AccountKey) -> str:
    return f"account {key}"
