"""What the API, a signal or a saved file may ask of the running service."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog

from actors.history.backfill import Fill
from actors.positions import Positions
from actors.watching import Watching
from indexer.app.audit import Auditor
from indexer.app.chains import Chains
from indexer.app.hidden import Hidden, hidden, merged
from indexer.app.history import BackfillBoard
from indexer.app.reload import difference, is_other_chain
from indexer.app.report import ServiceReport
from indexer.app.settings import file_solvers, watched_chains
from indexer.app.waiting import Waiting
from indexer.config import NatsSettings, ServiceSettings, Settings, Venues, load
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.balances import misfit
from indexer.domain.chain import Address, Holding, Token
from indexer.domain.history.jobs import Job
from indexer.domain.recording.audits import Audit, Wait
from indexer.domain.recording.records import BalanceRecord
from indexer.errors import ConfigError, Impossible, NotFound, Transient
from indexer.log import hide
from repositories.urls import wrong_with

log = structlog.get_logger(__name__)


class Balances(Protocol):
    """Where the answer to a refresh is read."""

    async def one(self, chain_id: int, holding: Holding) -> BalanceRecord | None: ...


class Following(Protocol):
    """What the file says of exchange accounts."""

    async def start(self, settings: Settings) -> None: ...

    async def ready_to_apply(self) -> None:
        """Raises while what it needs of the store cannot be had."""
        ...

    async def apply(self, old: Settings, new: Settings) -> None: ...

    def exchanges(self) -> Venues: ...

    def hidden(self) -> Sequence[AccountKey]: ...


class Control:
    """`settings` are those in force."""

    def __init__(
        self,
        *,
        settings: Settings,
        chains: Chains,
        watching: Watching,
        balances: Balances,
        positions: Positions,
        report: ServiceReport,
        admit: Callable[[ServiceSettings], None],
        publish: Callable[[NatsSettings], Awaitable[None]],
        accounts: Following,
        auditor: Auditor,
        backfills: BackfillBoard,
        waiting: Waiting,
        give_up: Callable[[str, BaseException], None],
    ) -> None:
        self.settings = settings
        self._started = settings
        self._chains = chains
        self._watching = watching
        self._balances = balances
        self._positions = positions
        self._report = report
        self._admit = admit
        self._publish = publish
        self._accounts = accounts
        self._auditor = auditor
        self._backfills = backfills
        self._waiting = waiting
        self._give_up = give_up
        self._reloading = asyncio.Lock()
        self._waits = False
        """Whether a file is to be applied once the store answers: it is tried every second, and told once."""
        self._started_up = asyncio.Event()

    async def start(self) -> None:
        """Start every chain and account; from then on the file may change them."""
        await self._chains.leave_others(at_once=True)
        for chain_id in self._watching.chains().values():
            await self._chains.start(chain_id)
        await self._accounts.start(self.settings)
        self.hidden().tell(Hidden())
        self._started_up.set()

    def hidden(self) -> Hidden:
        """What was added here, and the file in force hides."""
        return hidden(self._watching, self._accounts)

    async def refresh(self, chain_id: int, holding: Holding) -> tuple[BalanceRecord, int]:
        """Read it now; the record as it is by then, and the block up to which it is known to hold.

        Where a reorg took back what was read, or a newer block changed it meanwhile, that is the record's own.
        """
        if not self._watching.watch(chain_id).covers(holding):
            raise NotFound(f"{holding.token} of {holding.solver} is not watched on chain {chain_id}")
        value, block = await self._chains.refresh(chain_id, holding)
        await self._positions.caught_up()
        record = await self._balances.one(chain_id, holding)
        if record is None:
            raise Impossible("the balance was read, but is not in the store")
        is_as_read = record.balance == value and record.block.number <= block.number
        return record, block.number if is_as_read else record.block.number

    async def audit(self, count: int) -> Audit:
        await self._positions.caught_up()
        return await self._waiting.unless_over(self._auditor.audit(count))

    def audit_waits(self) -> Sequence[Wait] | None:
        return self._auditor.waits

    async def backfill(
        self, chain_id: int, token: Token | None, solver: Address | None, first: int, last: int | None
    ) -> tuple[Sequence[Job], bool]:
        """Fill the history of what is watched and fits; the jobs that will do it, and whether any of them is new."""
        watch = self._watching.watch(chain_id)
        holdings = watch.fitting(token, solver)
        if not holdings:
            raise Impossible(f"nothing like that is watched on chain {chain_id}", misfit((watch,), token, solver))
        return await self._chains.backfill(chain_id, Fill(holdings, first, last))

    def backfills(self) -> Sequence[Job]:
        return self._backfills.jobs()

    async def reload(self) -> Mapping[str, Any]:
        """Read the file again and apply what differs.

        A file with mistakes changes nothing, nor does one that comes while the store is away.
        """
        if self.settings.path is None:
            raise Impossible("this service was not started from a configuration file")
        await self._started_up.wait()
        async with self._reloading:
            try:
                # Beside the loop: a first exchange account has ccxt imported, which takes a second.
                new = await asyncio.to_thread(
                    load, self.settings.path, os.environ, self._accounts.exchanges, wrong_with
                )
            except ConfigError as error:
                self._report.refused([str(problem) for problem in error.problems])
                log.error("config_refused", problems=len(error.problems), first=str(error.problems[0]))  # noqa: TRY400
                raise
            try:
                await self._accounts.ready_to_apply()
            except Transient as error:
                self._report.refused([f"the file is not applied yet: {error}"])
                if not self._waits:
                    log.warning("config_waits", error=str(error))
                self._waits = True
                raise
            self._waits = False
            applied, is_other = difference(self.settings, new, self._started), new != self.settings
            before = self.hidden()
            hide(new.secrets())
            try:
                await self._apply(new)
            except Exception as error:
                self._give_up("reload", error)  # half of it is in force: a restart applies it whole
                raise
            applied = merged(applied, before, self.hidden())
            self._report.loaded()
            if is_other:  # a file that is saved and then reloaded by hand is applied once
                log.info("config_applied", **applied)
                self.hidden().tell(before)
            return applied

    async def reload_quietly(self) -> bool:
        """Whether there is nothing to do until the file is saved again: what is wrong is logged and in the status."""
        try:
            await self.reload()
        except ConfigError:
            return True
        except Transient:
            return False
        return True

    async def _apply(self, new: Settings) -> None:
        before = self.settings
        old = {chain.chain_id: chain for chain in before.chains.values()}
        wanted = {chain.chain_id: chain for chain in new.chains.values()}
        self.settings = new
        self._admit(new.service)  # first: a key that is taken back opens nothing from now on
        other = [i for i in wanted if i in old and is_other_chain(old[i], wanted[i])]
        fresh = [i for i in wanted if i not in old]
        for chain_id in old.keys() - wanted.keys():
            await self._chains.stop(chain_id)
        await self._chains.leave_others(at_once=False)  # those that come now were not followed until now either
        for chain_id in other:
            await self._chains.replace(wanted[chain_id])
        for chain_id in fresh:
            self._chains.prepare(wanted[chain_id])
        for chain_id in wanted.keys() - {*other, *fresh}:
            self._chains.adjust(wanted[chain_id])
        self._watching.configure(watched_chains(new), file_solvers(new))
        await self._publish(new.nats)
        for chain_id in (*other, *fresh):
            await self._chains.start(chain_id)
        await self._accounts.apply(before, new)
