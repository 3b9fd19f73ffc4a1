"""Current balances, one balance as it is or was, and reading one again."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from aiohttp import web

from indexer.api.answers import json_answer
from indexer.api.bodies import read_nothing
from indexer.api.followed import Followed
from indexer.api.pages import cursor, listing, page_of, place_of
from indexer.api.parameters import Query, located, unwatched
from indexer.api.ports import Balances, Control, Watching
from indexer.api.reach import Reach
from indexer.api.routes import API, AT, BLOCK, CHAIN, CURSOR, HOLDING, LIMIT, SOLVER, TOKEN, Answer, Route
from indexer.api.shapes import balance_json
from indexer.domain.chain import Address, Holding, Token
from indexer.domain.recording.records import BalanceRecord
from indexer.errors import NotFound, Refused

ROWS_AT_ONCE: Final = 200
"""A small page among many rows of what is not watched any more must not become as many queries."""

_CURSOR = "balances"
_Place = tuple[int, Token, Address]


class BalancesResource:
    """`/balances` and `/balances/{chain}/{token}/{solver}`."""

    def __init__(self, *, balances: Balances, watching: Watching, control: Control, followed: Followed) -> None:
        self._balances = balances
        self._watching = watching
        self._control = control
        self._followed = followed

    def routes(self) -> tuple[Route, ...]:
        one = Answer("The balance.", "Balance")
        return (
            Route(
                method="GET",
                path=f"{API}/balances",
                handler=self.page,
                summary="Current balances of everything that is watched",
                tag="balances",
                query=(CHAIN, TOKEN, SOLVER, LIMIT, CURSOR),
                answers={200: Answer("A page of balances.", "BalancePage")},
                problems=(400, 404, 422, 503),
            ),
            Route(
                method="GET",
                path=HOLDING,
                handler=self.one,
                summary="One balance, as it is or as it was",
                tag="balances",
                query=(BLOCK, AT),
                answers={200: one},
                problems=(400, 404, 422, 503),
            ),
            Route(
                method="POST",
                path=f"{HOLDING}/refresh",
                handler=self.refresh,
                summary="Read one balance now, at the newest block",
                tag="balances",
                scope="write",
                answers={200: one},
                problems=(400, 404, 408, 413, 415, 422, 503),
            ),
        )

    async def page(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        limit = query.limit()
        chain = query.chain(self._watching.chains())
        token, solver = query.token(), query.solver()
        rows = listing(_CURSOR, chain, token, solver)
        place = place_of(query, rows, int, str, str)
        after = None if place is None else (place[0], place[1], Address(place[2]))
        reach = await self._followed.reach()
        records = await self._watched(chain, token, solver, after, limit + 1)
        return json_answer(
            page_of(
                records,
                limit,
                lambda record: balance_json(record, reach.held(record.chain_id, record.holding)),
                lambda record: cursor(rows, *_place(record)),
            )
        )

    async def one(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        block, time = query.whole("block"), query.time("at")
        if block is not None and time is not None:
            raise Refused("give `block` or `at`, not both", "at")
        chain_id, holding = located(request, self._watching.chains())
        reach = await self._followed.reach()
        if block is not None:
            return json_answer(await self._at_block(chain_id, holding, block, reach))
        if time is not None:
            return json_answer(await self._at_time(chain_id, holding, time, reach))
        self._refuse_unwatched(chain_id, holding)
        record = await self._balances.one(chain_id, holding)
        if record is None or holding in self._watching.due(chain_id):
            raise NotFound("this balance has not been read yet")
        return json_answer(balance_json(record, reach.held(chain_id, holding)))

    async def refresh(self, request: web.Request) -> web.Response:
        await read_nothing(request)
        chain_id, holding = located(request, self._watching.chains())
        self._refuse_unwatched(chain_id, holding)
        return json_answer(balance_json(*await self._control.refresh(chain_id, holding)))

    async def _at_block(self, chain_id: int, holding: Holding, number: int, reach: Reach) -> dict[str, object]:
        followed = reach.followed(chain_id)
        if number > (followed or 0):
            newest = await self._balances.one(chain_id, holding)
            if newest is None or number > newest.block.number:
                seen = "no block" if followed is None else f"block {followed}"
                raise NotFound(f"the chain is followed up to {seen}; nothing is known about later ones", "block")
        record = await self._balances.at_block(chain_id, holding, number)
        if record is None:
            raise NotFound("nothing is known about this balance at or before that block", "block")
        return balance_json(record, await self._held_until(record, reach))

    async def _at_time(self, chain_id: int, holding: Holding, time: datetime, reach: Reach) -> dict[str, object]:
        record = await self._balances.at_time(chain_id, holding, time)
        if record is None:
            raise NotFound("nothing is known about this balance at or before that time", "at")
        return balance_json(record, await self._held_until(record, reach))

    async def _held_until(self, record: BalanceRecord, reach: Reach) -> int | None:
        """The block before the next change; without one, as far as the balance is followed and can be read."""
        following = await self._balances.next_after(record.chain_id, record.holding, record.block.number)
        if following is not None:
            return record.holds_until(following)
        if record.holding in self._watching.due(record.chain_id):
            return None
        is_watched = self._watching.watch(record.chain_id).covers(record.holding)
        return reach.held(record.chain_id, record.holding) if is_watched else None

    def _refuse_unwatched(self, chain_id: int, holding: Holding) -> None:
        watch = self._watching.watch(chain_id)
        if not watch.covers(holding):
            told = "this balance is not watched; if it was, its history can still be read"
            raise NotFound(told, unwatched(watch, holding))

    async def _watched(
        self, chain: int | None, token: Token | None, solver: Address | None, after: _Place | None, wanted: int
    ) -> list[BalanceRecord]:
        """Rows of what is not watched any more are kept, and stepped over here."""
        chains = [chain] if chain is not None else self._watching.chains().values()
        watches = {chain_id: self._watching.watch(chain_id) for chain_id in chains}
        found: list[BalanceRecord] = []
        batch = max(wanted, ROWS_AT_ONCE)
        while len(found) < wanted:
            rows = await self._balances.current(chain_id=chain, token=token, solver=solver, after=after, limit=batch)
            found += [
                row
                for row in rows
                if row.chain_id in watches
                and watches[row.chain_id].covers(row.holding)
                and row.holding not in self._watching.due(row.chain_id)
            ]
            if len(rows) < batch:
                break
            after = _place(rows[-1])
        return found[:wanted]


def _place(record: BalanceRecord) -> _Place:
    return record.chain_id, record.holding.token, record.holding.solver
