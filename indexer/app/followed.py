"""The exchange accounts that are followed just now: each is one child of the supervisor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import structlog
from pykka import ActorRef

from actors.accounts.account import AccountActor
from actors.accounts.ledger import AccountLedger, Prepare
from actors.base import Report
from actors.finishing import Finisher
from actors.messages import Begin, Committed
from actors.patience import patiently
from actors.statusboard import StatusBoard
from actors.supervisor import StartChild, StopChild
from indexer.app.coming import Coming
from indexer.app.exchanges import Credentials, Exchanges
from indexer.app.lives import Followed
from indexer.app.partings import Partings
from indexer.app.posts import Post
from indexer.app.settings import rules_of
from indexer.config import RulesSettings
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.breaker import BreakerState
from indexer.domain.accounts.polling import Rhythm
from indexer.domain.accounts.registry import Account
from indexer.domain.telling.streams import exchange_stream
from indexer.errors import GivenUp, Impossible, NotFound
from indexer.log import hide
from indexer.metrics import Metrics

if TYPE_CHECKING:
    from repositories.store import Store

log = structlog.get_logger(__name__)


class FollowedAccounts:
    """Gives accounts their actors, and knows of those that cannot be followed why that is."""

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
        exchanges: Exchanges,
        told: Callable[[], Mapping[str, int]],
    ) -> None:
        self._store = store
        self._board = board
        self._supervisor = supervisor
        self._broadcaster = broadcaster
        self._finisher = finisher
        self._prepare = prepare
        self._metrics = metrics
        self._exchanges = exchanges
        self._followed: dict[AccountKey, Followed] = {}
        self._held_back: dict[AccountKey, tuple[Account, str]] = {}
        """Accounts that cannot be followed, and why: credentials that cannot be unsealed, an exchange there is not."""
        self._coming = Coming(board=board, told=told)
        self._partings = Partings(ledger=self._ledger, board=board)

    # --- asking ------------------------------------------------------------------------------------------------------

    def has(self, key: AccountKey) -> bool:
        return key in self._followed

    def knows(self, key: AccountKey) -> bool:
        """Followed, about to be, or held back."""
        return key in self._followed or key in self._coming or key in self._held_back

    def followed(self) -> Sequence[Account]:
        return tuple(one.account for one in self._followed.values())

    def all(self) -> Sequence[Account]:
        known = {key: account for key, (account, _) in self._held_back.items()}
        known |= {account.key: account for account in self._coming.all()}
        known |= {key: one.account for key, one in self._followed.items()}
        return tuple(account for _, account in sorted(known.items()))

    def account(self, key: AccountKey) -> Account:
        if key in self._held_back:
            return self._held_back[key][0]
        return self._coming.one(key) or self.one(key).account

    def one(self, key: AccountKey) -> Followed:
        if key in self._held_back:
            raise Impossible(f"{key} is not followed: {self._held_back[key][1]}", "credentials")
        if key in self._coming:
            raise GivenUp(f"{key} is being opened; try again in a moment")
        one = self._followed.get(key)
        if one is None:
            raise NotFound(f"there is no account {key}", "name")
        return one

    # --- following ---------------------------------------------------------------------------------------------------

    async def expect(self, accounts: Sequence[Account]) -> None:
        """They are known from now on, and followed in a moment; nobody followed any others until now."""
        wallets = {account.key: account.wallets for account in accounts}
        for key, followed in (await self._store.followings.all()).items():
            if not followed <= set(wallets.get(key, ())):
                await self._store.followings.narrow(key, wallets.get(key, ()))
        for account in accounts:
            self._coming.expect(account)

    async def hold_back(self, account: Account, reason: str) -> None:
        """Nobody follows it, and whoever looks or listens is told so."""
        if self._held_back.get(account.key) == (account, reason):
            return
        log.error("account_held_back", exchange=account.key.exchange, account=account.key.name, reason=reason)
        self._held_back[account.key] = (account, reason)
        self._coming.forget(account.key)
        self._watch_breakers(account.key.exchange)
        await self._partings.begin(account, reason)

    async def follow(self, account: Account, credentials: Credentials, rules: RulesSettings) -> None:
        """From now on, by these rules; held back where there is no such thing."""
        await self._exchanges.prepare()
        try:
            account = self._exchanges.checked(account)
            self._exchanges.check_credentials(account.key.exchange, credentials)
        except Impossible as error:
            await self.hold_back(account, str(error))
            return
        self._held_back.pop(account.key, None)
        self._coming.expect(account)
        await self._partings.end(account.key)
        hide(credentials.values())
        post = Post()
        self._followed[account.key] = Followed(
            account,
            credentials,
            self._exchanges.connection(account, credentials),
            post,
            rules,
        )
        self._coming.forget(account.key)
        self._metrics.watch_inbox(_child(account.key), lambda: post.waiting)
        self._watch_breakers(account.key.exchange)
        await self._ask_supervisor(
            StartChild(
                _child(account.key),
                lambda report: self._give_life(account.key, report),
                lambda error: self._give_up(account, error),
            )
        )

    async def unfollow(self, key: AccountKey, *, until: Account | None = None) -> None:
        """It is removed; or followed as `until` in a moment, and known all the time."""
        self._held_back.pop(key, None)
        one = self._followed.pop(key, None)
        if until is not None:
            self._coming.keep(until if one is None else one.account)  # as it was, while its last life still ends
        else:
            self._coming.forget(key)
        await self._partings.end(key)
        if one is not None:
            changed = GivenUp(f"{key} was changed while it was read; try again in a moment")
            one.end_life(changed if until is not None else NotFound(f"there is no account {key}", "name"))
            await self._ask_supervisor(StopChild(_child(key)))
            await one.connection.close()
        wallets = () if until is None else until.wallets
        await patiently(exchange_stream(*key), lambda: self._store.followings.narrow(key, wallets))
        if until is not None:
            self._coming.expect(until)
        else:
            self._board.forget(exchange_stream(*key))
            self._metrics.forget_actor(_child(key))

    def _watch_breakers(self, exchange: str) -> None:
        for state in get_args(BreakerState):
            self._metrics.exchange(exchange).watch_breakers(state, partial(self._breakers, exchange, state))

    def _breakers(self, exchange: str, state: BreakerState) -> int:
        """How many accounts of this exchange have theirs in this state."""
        keys = (one.key for one in self.all() if one.key.exchange == exchange)
        statuses = (self._board.one(exchange_stream(*key)) for key in keys)
        accounts = (status.account for status in statuses if status is not None)
        return sum(account is not None and account.breaker.state == state for account in accounts)

    def _give_life(self, key: AccountKey, report: Report) -> ActorRef[Any]:
        one = self._followed[key]
        fast = one.account.poll_seconds or Rhythm().fast
        ref = AccountActor.start(
            venue=one.connection,
            ledger=self._ledger(key),
            rules=rules_of(one.rules, self._exchanges.exceptions(key.exchange)),
            counts=self._metrics.exchange(key.exchange),
            resumed=self._broadcaster.tell,
            show=self._board.show,
            rhythm=Rhythm(fast=fast, slow=max(fast, Rhythm().slow), slowest=max(fast, Rhythm().slowest)),
            restarts=one.lives,
            report=report,
        )
        if one.lives:
            one.end_life(GivenUp(f"{key} is being restarted; try again in a moment"))
        one.lives += 1
        one.post.move_to(ref)
        ref.tell(Begin())
        return ref

    def _ledger(self, key: AccountKey) -> AccountLedger:
        return AccountLedger(
            account=key,
            commits=self._store.commits,
            checkpoints=self._store.checkpoints,
            books=self._store.accounts,
            followings=self._store.followings,
            finisher=self._finisher,
            publish=lambda commit: self._broadcaster.tell(Committed(commit)),
            prepare=self._prepare,
            written=lambda seconds: self._metrics.store_call("append", "ok", seconds),
        )

    def _give_up(self, account: Account, error: BaseException) -> None:
        """It dies as often as it is started. Nobody else is stopped by that, and its connection stays to be closed."""
        reason = f"an error of ours comes each time that it is begun ({type(error).__name__}, see the log)"
        if account.key in self._followed:
            self._followed[account.key].given_up = reason
            self._followed[account.key].end_life(Impossible(f"{account.key} is not followed: {reason}"))
            self._partings.begin_now(account, reason)

    async def _ask_supervisor(self, order: object) -> None:
        ref = self._supervisor.ref
        if ref is not None:
            await ref.ask(order, block=False)

    def end_waiting(self) -> None:
        """The service stops: nobody waits for a venue any more."""
        for one in self._followed.values():
            one.end_life(GivenUp("the service stops"))

    async def close(self) -> None:
        """After the supervisor has ended every actor."""
        await self._partings.close()
        await asyncio.gather(*(one.connection.close() for one in self._followed.values()))


def _child(key: AccountKey) -> str:
    return f"account {key}"
