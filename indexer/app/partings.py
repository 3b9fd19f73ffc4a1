"""What is shown and told of exchange accounts that cannot be followed: a silent stop is the worst of all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from actors.accounts.ledger import AccountLedger
from actors.accounts.parting import tell_parting
from actors.statusboard import StatusBoard
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.breaker import Breaker
from indexer.domain.accounts.registry import Account
from indexer.domain.health.status import AccountStatus, StreamStatus
from indexer.domain.telling.streams import exchange_stream

log = structlog.get_logger(__name__)


class Partings:
    """One task for each of them, until its word is written or somebody follows it again."""

    def __init__(self, *, ledger: Callable[[AccountKey], AccountLedger], board: StatusBoard) -> None:
        self._ledger = ledger
        self._board = board
        self._telling: dict[AccountKey, asyncio.Task[None]] = {}

    async def begin(self, account: Account, reason: str) -> None:
        """In the place of what was told of it before."""
        await self.end(account.key)
        self.begin_now(account, reason)

    def begin_now(self, account: Account, reason: str) -> None:
        """Shown at once, told as soon as the store takes it."""
        self._show(account, reason)
        name = f"parting {exchange_stream(*account.key)}"
        self._telling[account.key] = asyncio.get_running_loop().create_task(self._tell(account, reason), name=name)

    async def end(self, key: AccountKey) -> None:
        """Its stream belongs to somebody else from now on."""
        task = self._telling.pop(key, None)
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def close(self) -> None:
        for key in tuple(self._telling):
            await self.end(key)

    async def _tell(self, account: Account, reason: str) -> None:
        ledger = self._ledger(account.key)
        try:
            await tell_parting(ledger, reason)
        except Exception:  # nobody else is stopped by it; who asks is told so by the status
            log.exception("account_parting_not_told", exchange=account.key.exchange, account=account.key.name)
        self._show(account, reason, ledger.seq)

    def _show(self, account: Account, reason: str, seq: int | None = None) -> None:
        stream = exchange_stream(*account.key)
        shown = self._board.one(stream)
        self._board.show(
            StreamStatus(
                stream,
                str(account.key),
                "suspended",
                seq=seq if seq is not None else 0 if shown is None else shown.seq,
                restarts=0 if shown is None else shown.restarts,
                last_error=reason,
                account=AccountStatus(Breaker().refused(reason), stale=account.wallets),
            )
        )
