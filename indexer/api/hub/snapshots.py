"""Current balances as of an exact position of every stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from indexer.api.accounts.shapes import current_json
from indexer.api.hub import account_rows
from indexer.api.hub.account_rows import AccountRows
from indexer.api.hub.filters import Filter, Wanted
from indexer.api.hub.frames import joined_frame
from indexer.api.hub.ordering import in_parts, ordered
from indexer.api.hub.positions import Positions
from indexer.api.hub.requests import SubscriptionId
from indexer.api.hub.sources import CurrentBalances, Log, Projected, Streams, Watched
from indexer.api.reach import Reach
from indexer.api.shapes import balance_json
from indexer.domain.accounts.records import AccountRecord
from indexer.domain.chain import Address, Token
from indexer.domain.health.standing import Standing
from indexer.domain.recording.records import BalanceRecord, HoldingKey, fold
from indexer.domain.telling.streams import chain_of, chain_stream

ROWS: Final = 1_000
COMMITS: Final = 100
QUERIES: Final = 20
"""With more different filters than that, one walk over everything costs less."""
CATCH_UP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Exactly what holds after the events numbered up to `positions`."""

    items: Sequence[BalanceRecord]
    positions: Mapping[str, int]
    reach: Reach
    due: frozenset[HoldingKey] = frozenset()
    """Watched again a moment ago and not read since: these hold at their own block, for all we know."""
    amounts: Sequence[AccountRecord] = ()
    """What exchange accounts hold."""
    standing: Standing = field(default_factory=lambda: Standing(()))

    async def frame(self, subscription: SubscriptionId) -> bytes:
        """Encoded a part at a time: ten thousands of balances would keep everybody else waiting."""
        parts = [orjson.dumps({"type": "snapshot", "id": subscription})[:-1], b',"items":[']
        async for rows in in_parts(self.items):
            parts += (orjson.dumps([balance_json(row, self._held_until(row)) for row in rows])[1:-1], b",")
        async for amounts in in_parts(self.amounts):
            parts += (orjson.dumps([current_json(row, self.standing) for row in amounts])[1:-1], b",")
        if self.items or self.amounts:
            parts.pop()
        return joined_frame([*parts, b"],", orjson.dumps({"positions": dict(self.positions)})[1:]])

    def _held_until(self, row: BalanceRecord) -> int | None:
        is_due = HoldingKey(row.chain_id, row.holding) in self.due
        return None if is_due else self.reach.held(row.chain_id, row.holding)


class Snapshots:
    """Takes them without stopping anybody: reads what is projected, and lays over it what was told meanwhile."""

    def __init__(
        self,
        *,
        log: Log,
        balances: CurrentBalances,
        amounts: AccountRows,
        freshness: Projected,
        watching: Watched,
        status: Streams,
        positions: Positions,
    ) -> None:
        self._log = log
        self._balances = balances
        self._amounts = amounts
        self._freshness = freshness
        self._watching = watching
        self._status = status
        self._positions = positions

    async def take(self, wanted: Wanted, stream: str | None = None) -> Snapshot:
        """Of the balances that the filters cover; of one stream alone where one is named."""
        # Before anything else, so that it says too little rather than too much.
        reach = Reach(self._status.streams())
        await self._freshness.caught_up()
        # Queries see at least what this says: the commits above it are laid over what they answer.
        seen = dict(self._freshness.projected())
        rows = await self._rows(_narrowed(wanted.filters, stream))
        amounts = await self._amounts.read(wanted.filters, stream)
        # The projector may be ahead of us; a position must not be behind an item that it is said of.
        newest = {**await _newest(rows), **await account_rows.newest(amounts)}
        await self._positions.reached(newest, seconds=CATCH_UP_SECONDS)
        positions = self._positions.now()
        for name, seq in positions.items():
            if stream in (None, name) and _holds_balances(name):
                await self._lay_over(rows, name, seen.get(name, 0), seq)
            elif stream in (None, name) and self._amounts.concerns(wanted.filters, name):
                await self._amounts.lay_over(amounts, name, seen.get(name, 0), seq)
        kept = await self._shown(rows, wanted, stream)
        kept_amounts = await self._amounts.shown(amounts, wanted)
        if stream is not None:
            positions = {stream: positions.get(stream, 0)}
        chains = self._watching.chains().values()
        standing = Standing(self._status.streams())  # as of the positions or later: `stream.stale` and more follow
        due = frozenset(HoldingKey(chain, holding) for chain in chains for holding in self._watching.due(chain))
        return Snapshot(kept, positions, reach, due, kept_amounts, standing)

    async def _rows(self, filters: Sequence[Filter]) -> dict[HoldingKey, BalanceRecord]:
        queries = {(one.chain, one.token, one.solver) for one in filters if one.wants_balances}
        if len(queries) > QUERIES:
            queries = {(None, None, None)}
        rows: dict[HoldingKey, BalanceRecord] = {}
        for chain, token, solver in queries:
            async for row in self._pages(chain, token, solver):
                rows[HoldingKey(row.chain_id, row.holding)] = row
        return rows

    async def _pages(
        self, chain: int | None, token: Token | None, solver: Address | None
    ) -> AsyncIterator[BalanceRecord]:
        after: tuple[int, Token, Address] | None = None
        while True:
            page = await self._balances.current(chain_id=chain, token=token, solver=solver, after=after, limit=ROWS)
            for row in page:
                yield row
            if len(page) < ROWS:
                return
            after = (page[-1].chain_id, *page[-1].holding)

    async def _lay_over(self, rows: dict[HoldingKey, BalanceRecord], stream: str, seen: int, last: int) -> None:
        while seen < last:
            commits = [commit for commit in await self._log.since(stream, seen, COMMITS) if commit.first_seq <= last]
            if not commits:
                return
            seen = commits[-1].last_seq
            for commit in commits:
                for key, row in fold([commit]).current.items():
                    held = rows.get(key)
                    if held is None or held.seq < row.seq:
                        rows[key] = row
                await asyncio.sleep(0)

    async def _shown(
        self, rows: Mapping[HoldingKey, BalanceRecord], wanted: Wanted, stream: str | None
    ) -> Sequence[BalanceRecord]:
        """In the order of `GET /balances`, and like there only what is watched now."""
        watches = {chain: self._watching.watch(chain) for chain in self._watching.chains().values()}
        watched = {chain: watch for chain, watch in watches.items() if stream in (None, chain_stream(chain))}

        def is_shown(key: HoldingKey) -> bool:
            chain, holding = key
            return chain in watched and watched[chain].covers(holding) and wanted.covers(chain, holding)

        return await ordered(rows, is_shown)


def _narrowed(filters: Sequence[Filter], stream: str | None) -> Sequence[Filter]:
    """Only those that can match on this stream, and nothing of other chains."""
    if stream is None:
        return filters
    if not _holds_balances(stream):
        return ()
    chain = chain_of(stream)
    return tuple(
        Filter(one.type, chain, one.token, one.solver)
        for one in filters
        if one.wants_balances and one.chain in (None, chain)
    )


def _holds_balances(stream: str) -> bool:
    """A chain's own stream; filled-in history says nothing about what holds now."""
    chain = chain_of(stream)
    return chain is not None and stream == chain_stream(chain)


async def _newest(rows: Mapping[HoldingKey, BalanceRecord]) -> Mapping[str, int]:
    newest: dict[int, int] = {}
    async for part in in_parts(rows.values()):
        for row in part:
            newest[row.chain_id] = max(row.seq, newest.get(row.chain_id, 0))
    return {chain_stream(chain): seq for chain, seq in newest.items()}
