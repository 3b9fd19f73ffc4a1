"""What a balance was: its records, newest first, and statistics over them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

from aiohttp import web

from indexer.api.answers import json_answer
from indexer.api.followed import Followed
from indexer.api.pages import cursor, listing, page_of, place_of
from indexer.api.parameters import Query, located, refuse_to_come, unwatched
from indexer.api.ports import Balances, Watching
from indexer.api.routes import BEFORE, CURSOR, EXPLAIN, FROM, HOLDING, LIMIT, TO, Answer, Route
from indexer.api.shapes import explained_json, record_json, stats_json
from indexer.domain.chain import Holding
from indexer.domain.measuring.course import reached
from indexer.domain.recording.records import BalanceRecord
from indexer.errors import NotFound

_CURSOR = "history"


class HistoryResource:
    """`…/history` and `…/stats` of one balance; readable for what is no longer watched, too."""

    def __init__(
        self, *, balances: Balances, watching: Watching, followed: Followed, now: Callable[[], datetime]
    ) -> None:
        self._balances = balances
        self._now = now
        self._watching = watching
        self._followed = followed

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                method="GET",
                path=f"{HOLDING}/history",
                handler=self.history,
                summary="The records of one balance, newest first",
                tag="balances",
                query=(LIMIT, BEFORE, FROM, TO, EXPLAIN, CURSOR),
                answers={200: Answer("A page of records.", "RecordPage")},
                problems=(400, 404, 422, 503),
            ),
            Route(
                method="GET",
                path=f"{HOLDING}/stats",
                handler=self.stats,
                summary="Statistics over the records of one balance",
                tag="balances",
                query=(FROM, TO),
                answers={200: Answer("The statistics; nulls where there is no record in the time range.", "Stats")},
                problems=(400, 404, 422, 503),
            ),
        )

    async def history(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        limit, (start, end), before = query.limit(), query.span(), query.whole("before")
        shape = explained_json if query.flag("explain") else record_json
        chain_id, holding = located(request, self._watching.chains())
        records = listing(_CURSOR, chain_id, holding.token, holding.solver)
        place = place_of(query, records, int)
        if place is not None:
            before = place[0] if before is None else min(before, place[0])
        reach = await self._followed.reach()
        rows = await self._balances.history(chain_id, holding, limit=limit + 1, before=before, start=start, end=end)
        if not rows:
            await self._refuse_unknown(chain_id, holding)
        held = await self._held_until(rows, reach.held(chain_id, holding))
        page = page_of(
            list(zip(rows, held, strict=True)),
            limit,
            lambda row: shape(*row),
            lambda row: cursor(records, row[0].block.number),
        )
        return json_answer(page)

    async def stats(self, request: web.Request) -> web.Response:
        start, end = Query(request.query).span()
        chain_id, holding = located(request, self._watching.chains())
        await self._followed.reach()
        now = self._now()
        stats = await self._balances.stats(chain_id, holding, start=start, end=end, until=reached(end, now))
        if stats.course is None:
            await self._refuse_unknown(chain_id, holding)
        if stats.records is None:
            refuse_to_come(start, now)
        named = {"chainId": chain_id, "tokenAddress": holding.token, "solverAddress": holding.solver}
        return json_answer(named | stats_json(stats))

    async def _held_until(self, rows: list[BalanceRecord], reached: int | None) -> list[int | None]:
        """Each record holds until the block before the next newer one."""
        if not rows:
            return []
        newest = rows[0]
        following = await self._balances.next_after(newest.chain_id, newest.holding, newest.block.number)
        if following is not None:
            first: int = newest.holds_until(following)
        else:
            is_followed = self._watching.watch(newest.chain_id).covers(newest.holding)
            is_followed &= newest.holding not in self._watching.due(newest.chain_id)
            first = reached if reached is not None and is_followed else newest.block.number
        return [first, *(older.holds_until(newer) for newer, older in pairwise(rows))]

    async def _refuse_unknown(self, chain_id: int, holding: Holding) -> None:
        """Nothing in a time range is an answer; nothing known at all about what nobody watches is not."""
        watch = self._watching.watch(chain_id)
        if watch.covers(holding):
            return
        if await self._balances.one(chain_id, holding) is None:
            raise NotFound("this balance is not watched, and never was", unwatched(watch, holding))
