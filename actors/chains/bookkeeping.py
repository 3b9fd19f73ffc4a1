"""From what was read to what changed: facts, each at the block in which it happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from actors.chains.ledger import Ledger
from actors.chains.natives import Span, search
from actors.chains.nodes import Node
from indexer.domain.balances import BalanceUpdated, Cause, Watch, changes
from indexer.domain.chain import NATIVE, BlockRef, Head, Holding, TokenInfo, Transfer
from indexer.domain.headchain import HeadChain
from indexer.errors import StateMissing

log = structlog.get_logger(__name__)


class Bookkeeper:
    """Compares with the ledger; knows what tokens say of themselves, and when native balances were read."""

    def __init__(
        self, *, name: str, chain_id: int, node: Node, ledger: Ledger, known: Callable[[], HeadChain], interval: int
    ) -> None:
        self.infos: Mapping[str, TokenInfo] = {}
        self.unreadable: Mapping[Holding, str] = {}
        self._name = name
        self._chain_id = chain_id
        self._node = node
        self._ledger = ledger
        self._known = known
        self._interval = interval
        self._read_at: dict[Holding, int] = {}

    def load(self) -> None:
        self._read_at = dict(self._ledger.native_since)

    def are_natives_due(self, head: Head) -> bool:
        return head.number - self._ledger.natives_at >= self._interval

    def natives_read(self, number: int) -> None:
        """All of them, at this block."""
        self._ledger.natives_at = number
        self._read_at.clear()

    def roll_back(self, number: int) -> None:
        """What was read above this block was read on another branch."""
        self._ledger.natives_at = min(self._ledger.natives_at, number)
        self._read_at = {key: min(at, number) for key, at in self._read_at.items()}

    def rewatch(self, watch: Watch) -> None:
        self.unreadable = {key: why for key, why in self.unreadable.items() if watch.covers(key)}

    def info(self, holding: Holding) -> TokenInfo:
        return self.infos.get(holding.token, TokenInfo())

    async def facts(
        self, values: Mapping[Holding, int], head: Head, transfers: Sequence[Transfer], cause: Cause | None = None
    ) -> tuple[BalanceUpdated, ...]:
        """Every change at `head`; before them, in their own blocks, those of natives that were not read since."""
        late = self._late_natives(values, head)
        if not late:
            return self.changed(values, head.ref, transfers, cause)
        try:
            steps = await search(self._node, await self._between(late, head), late)
        except StateMissing as error:
            log.warning("native_search_failed", chain=self._name, block=head.number, reason=str(error))
            return self.changed(values, head.ref, transfers, cause)
        found = {span.holding for span in late}
        others = {holding: value for holding, value in values.items() if holding not in found}
        native = [
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
        return (*native, *self.changed(others, head.ref, transfers, cause))

    async def _between(self, spans: Sequence[Span], head: Head) -> Sequence[Head]:
        """The blocks that a change may be in; of those before a restart, only some are known."""
        ours = self._known()
        known = {each.number: each for each in (*ours.heads, head)}
        missing = [n for n in range(min(span.low for span in spans) + 1, head.number) if n not in known]
        if not missing or head.number - missing[0] > ours.depth:
            return tuple(known.values())
        return (*await self._node.headers(missing[0], missing[-1]), *known.values())

    def _late_natives(self, values: Mapping[Holding, int], head: Head) -> list[Span]:
        natives_at = self._ledger.natives_at
        if natives_at >= head.number - 1 and not self._read_at:
            return []
        balances = self._ledger.balances
        spans = []
        for holding, value in values.items():
            if holding.token != NATIVE:
                continue
            low = self._read_at.get(holding, natives_at)
            before = balances.get(holding)
            if before is not None and before != value and low < head.number - 1:
                spans.append(Span(holding, low, before, head.number, value))
            self._read_at[holding] = head.number
        return spans

    def changed(
        self, values: Mapping[Holding, int], block: BlockRef, transfers: Sequence[Transfer], cause: Cause | None
    ) -> tuple[BalanceUpdated, ...]:
        ledger = self._ledger
        found = changes(
            self._chain_id, block, ledger.balances, values, transfers, self.infos, cause, ledger.trails.logs
        )
        if not ledger.returned:
            return found
        # Whatever moved here, part of it may have happened while nobody watched.
        return tuple(replace(one, cause=cause or "sync") if one.holding in ledger.returned else one for one in found)

    def confirmed(self, values: Mapping[Holding, int], block: BlockRef) -> tuple[BalanceUpdated, ...]:
        """What is watched again and holds what it held: told all the same, since it may have moved and come back."""
        ledger = self._ledger
        recorded = {update.holding for update in ledger.above(block.number - 1)}
        return tuple(
            BalanceUpdated(self._chain_id, holding, value, value, block, "sync", self.info(holding))
            for holding, value in sorted(values.items())
            if holding in ledger.returned and holding not in recorded and ledger.balances.get(holding) == value
        )

    def note_unreadable(self, unreadable: Mapping[Holding, str]) -> None:
        """Told once per token: absent is not zero."""
        if not unreadable:
            return
        for token in {holding.token for holding in unreadable} - {holding.token for holding in self.unreadable}:
            why = next(why for holding, why in unreadable.items() if holding.token == token)
            log.warning("token_unreadable", chain=self._name, token=token, reason=why)
        self.unreadable = {**self.unreadable, **unreadable}
