"""From what was read to what changed: facts, each at the block in which it happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import structlog

from actors.chains.books.ledger import Ledger
from actors.chains.books.natives import Span, between, search
from actors.chains.followed import Followed
from actors.chains.nodes import Node
from actors.clock import now
from indexer.domain.balances import BalanceUpdated, Cause, changes, net
from indexer.domain.chain import NATIVE, BlockRef, Head, Holding, TokenInfo, Transfer
from indexer.domain.health.incidents import Incident
from indexer.domain.health.status import NativesRead
from indexer.domain.recording.gaps import Later
from indexer.domain.telling.facts import BalanceReverted, Passed
from indexer.errors import StateMissing

log = structlog.get_logger(__name__)


class Bookkeeper:
    """Compares with the ledger; knows what tokens say of themselves, and when native balances were read."""

    def __init__(
        self,
        *,
        name: str,
        chain_id: int,
        node: Node,
        ledger: Ledger,
        followed: Followed,
        interval: int,
        unplaced: Callable[[int], None],
    ) -> None:
        self.infos: Mapping[str, TokenInfo] = {}
        self.late: frozenset[Holding] = frozenset()
        """Natives that were found changed by the last reading, and that nobody had looked at for some blocks."""
        self._name = name
        self._chain_id = chain_id
        self._node = node
        self._ledger = ledger
        self._followed = followed
        self._interval = interval
        self._unplaced = unplaced
        self._fails_to_search = False
        self._read_at: dict[Holding, int] = {}

    def load(self, native_since: Mapping[Holding, int]) -> None:
        """The blocks at which some were read after all others."""
        self._read_at = dict(native_since)

    def are_natives_due(self, head: Head) -> bool:
        return head.number - self._ledger.natives_at >= self._interval

    @property
    def read(self) -> NativesRead | None:
        """When they were read last; nothing where that is at every block."""
        return None if self._interval == 1 else NativesRead(self._ledger.natives_at, dict(self._read_at))

    def some_read(self, holdings: Iterable[Holding], number: int) -> None:
        """These, at this block. Not before it is committed: what fails is tried again, and searched again."""
        if number > self._ledger.natives_at:
            self._read_at |= {holding: number for holding in holdings if holding.token == NATIVE}

    def natives_read(self, number: int, *, anew: bool = False) -> None:
        """All of them, at this block."""
        self._ledger.natives_read(number, anew=anew)
        self._read_at.clear()

    def roll_back(self, number: int, reverted: Iterable[BalanceReverted]) -> None:
        """What was read above this block was read on another branch; what is `reverted` was read at it just now.

        All others are known by their last reading below, or by a record since then.
        """
        natives_at = self._ledger.natives_at
        known = [(key, at) for key, at in self._read_at.items() if at <= number]
        known += [(update.holding, update.block.number) for update in self._ledger.above(natives_at)]
        known += [(fact.holding, number) for fact in reverted]
        self._read_at = {}
        for holding, at in known:
            if holding.token == NATIVE and at > max(natives_at, self._read_at.get(holding, 0)):
                self._read_at[holding] = at

    def info(self, holding: Holding) -> TokenInfo:
        return self.infos.get(holding.token, TokenInfo())

    async def facts(
        self,
        values: Mapping[Holding, int],
        head: Head,
        transfers: Sequence[Transfer],
        cause: Cause | None = None,
        again: frozenset[Holding] = frozenset(),
    ) -> tuple[BalanceUpdated, ...]:
        """Every change at `head`; before them, in their own blocks, those of natives that were not read since."""
        self.late = frozenset()
        if self._ledger.natives_at >= head.number - 1 and not self._read_at:
            return self.changed(values, head.ref, transfers, cause, again)
        late = self._late_natives(values, head)
        self.late = frozenset(span.holding for span in late)
        others = {holding: value for holding, value in values.items() if holding not in self.late}
        native = await self._placed(late, head, cause) if late else ()
        return (*native, *self.changed(others, head.ref, transfers, cause, again))

    async def _placed(self, late: Sequence[Span], head: Head, cause: Cause | None) -> Sequence[BalanceUpdated]:
        """Changes of native balances, each at its block; at `head`, and saying so, where that cannot be found."""
        try:
            steps = await search(self._node, await between(self._node, (*self._followed.known.heads, head), late), late)
        except StateMissing as error:
            self._search_failed(head, str(error), len(late))
            # `native` would claim that it happened here.
            return self.changed({span.holding: span.after for span in late}, head.ref, (), cause or "sync")
        self._search_worked()
        return [
            update
            for step in steps
            for update in changes(
                self._chain_id,
                step.head.ref,
                {step.holding: step.before},
                {step.holding: step.balance},
                (),
                self.infos,
            )
        ]

    def _search_failed(self, head: Head, reason: str, balances: int) -> None:
        """Logged once until it works again; counted and shown each time."""
        self._unplaced(balances)
        self._ledger.incidents = self._ledger.incidents._replace(search=Incident(head.number, reason, now()))
        if not self._fails_to_search:
            self._fails_to_search = True
            log.warning("native_search_failed", chain=self._name, block=head.number, reason=reason)

    def _search_worked(self) -> None:
        if self._fails_to_search:
            self._fails_to_search = False
            log.info("native_search_works", chain=self._name)

    def _late_natives(self, values: Mapping[Holding, int], head: Head) -> list[Span]:
        natives_at, balances, returned = self._ledger.natives_at, self._ledger.balances, self._ledger.returned
        spans = []
        for holding, value in values.items():
            if holding.token != NATIVE or holding in returned:
                continue  # who was not watched meanwhile may have changed long before
            low = self._read_at.get(holding, natives_at)
            before = balances.get(holding)
            if before is not None and before != value and low < head.number - 1:
                spans.append(Span(holding, low, before, head.number, value))
        return spans

    def passed(self, after: BlockRef, values: Iterable[Holding]) -> Passed:
        """Not followed above that block; whoever was not watched, or not looked at there, is not gone on from."""
        followed = tuple(key for key in sorted(values) if self._is_known_at(key, after) and self._was_read(key))
        return Passed(after, followed, tuple(key for key in followed if key in self._ledger.trails.logs))

    def passed_below(self, after: BlockRef, values: Iterable[Holding], later: Later) -> Passed:
        """The same where all records above that block, of which `later` tells, are taken back."""
        unread = self._ledger.unread.held
        followed = tuple(
            key
            for key in sorted(values)
            if self._is_known_at(key, after)
            and key not in later.doubtful
            and key not in unread
            and (key in later.told or self._was_read(key))
        )
        return Passed(after, followed, tuple(key for key in followed if self._trails_at(key, after, later)))

    def natives_not_gone_on_from(self, passed: Passed | None, values: Iterable[Holding]) -> dict[Holding, int | None]:
        """Those that may have moved before the block after which nobody followed, and up to where they are known.

        They were not read there, or it was not kept that they were. Where that says nothing, their last record does.
        """
        followed = frozenset() if passed is None else frozenset(passed.followed)
        found: dict[Holding, int | None] = {}
        for key in values:
            if key.token == NATIVE and key in self._ledger.balances and key not in followed:
                read = self._read_at.get(key, self._ledger.natives_at)
                is_known = passed is not None and read < passed.after.number and key not in self._ledger.returned
                found[key] = read if is_known else None
        return found

    def _is_known_at(self, holding: Holding, after: BlockRef) -> bool:
        ledger = self._ledger
        is_native = holding.token == NATIVE
        is_read = not is_native or self._read_at.get(holding, ledger.natives_at) >= after.number
        return is_read and holding in ledger.balances and holding not in ledger.returned

    def _trails_at(self, holding: Holding, after: BlockRef, later: Later) -> bool:
        """A record above accounts for all logs before it, also for those that are left."""
        if holding.token == NATIVE:
            return False
        logs = self._ledger.trails.logs.get(holding, ())
        is_left = holding not in later.told and (logs is None or any(log.block_number <= after.number for log in logs))
        return is_left or holding in later.trailing

    def _was_read(self, holding: Holding) -> bool:
        """Its last log led to a read: where the token could not be read then, the record is from before that log."""
        logs = self._ledger.trails.logs.get(holding, ())
        return logs is not None and net(logs, holding.solver) == 0

    def changed(
        self,
        values: Mapping[Holding, int],
        block: BlockRef,
        transfers: Sequence[Transfer],
        cause: Cause | None,
        again: frozenset[Holding] = frozenset(),
    ) -> tuple[BalanceUpdated, ...]:
        ledger = self._ledger
        found = changes(
            self._chain_id, block, ledger.balances, values, transfers, self.infos, cause, ledger.trails.logs, again
        )
        if not ledger.returned and not ledger.unread:
            return found
        # Whatever moved here, part of it may have happened while nobody watched, or the token did not tell.
        return tuple(
            replace(one, cause=cause or "sync", apart=one.holding in ledger.returned) if self._is_unseen(one) else one
            for one in found
        )

    def _is_unseen(self, update: BalanceUpdated) -> bool:
        is_unread = update.holding in self._ledger.unread.held and update.previous is not None
        return is_unread or update.holding in self._ledger.returned

    def confirmed(self, values: Mapping[Holding, int], block: BlockRef) -> tuple[BalanceUpdated, ...]:
        """What holds what it held when it was seen last: told all the same where it may have moved and come back."""
        ledger = self._ledger
        recorded = {update.holding for update in ledger.above(block.number - 1)}
        return tuple(
            BalanceUpdated(self._chain_id, holding, value, value, block, "sync", self.info(holding), apart=True)
            for holding, value in sorted(values.items())
            if self._came_back(holding) and holding not in recorded and ledger.balances.get(holding) == value
        )

    def _came_back(self, holding: Holding) -> bool:
        """Watched again; or moved, by its logs, while its token did not tell."""
        ledger = self._ledger
        has_moved = ledger.trails.logs.get(holding, ()) != ()
        return holding in ledger.returned or (has_moved and holding in ledger.unread.held)
