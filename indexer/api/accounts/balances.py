"""What an exchange account holds and held: amounts, history, statistics, series, positions, funding."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, cast, get_args

from aiohttp import web

from indexer.api.accounts.registry import key_of
from indexer.api.accounts.shapes import (
    account_balance_json,
    account_position_json,
    account_record_json,
    asset_stats_json,
    current_json,
    funding_json,
    point_json,
)
from indexer.api.answers import json_answer
from indexer.api.pages import cursor, listing, page_of, place_of, whole
from indexer.api.parameters import Query, refuse_to_come, rfc3339
from indexer.api.ports import AccountBooks, AccountControl, Freshness, Status
from indexer.api.routes import ACCOUNT, AT, CURSOR, FROM, LIMIT, SLOT, TO, Answer, Parameter, Route
from indexer.domain.accounts.amounts import AccountKey, Slot, Wallet
from indexer.domain.accounts.events import account_json, slot_json
from indexer.domain.accounts.stats import Granularity, Series, stretches
from indexer.domain.health.standing import Standing
from indexer.domain.measuring.course import reached
from indexer.domain.times import time_text
from indexer.errors import Impossible, NotFound, Refused

MOST_POINTS: Final = 2_000
PERIODS: Final = {"24h": 1, "7d": 7, "30d": 30, "90d": 90, "1y": 365}
"""In days."""

_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)

_BALANCES, _HISTORY, _FUNDINGS = "account-balances", "account-history", "account-fundings"
_POSITIONS = "account-positions"
_WALLET = Parameter("wallet", "Only this wallet.", {"enum": list(get_args(Wallet))})
_ASSET = Parameter("asset", "Only this asset.", {"type": "string"})
_PERIOD = Parameter("period", "How far back, from `to` or now.", {"enum": list(PERIODS), "default": "24h"})
_GRANULARITY = Parameter("granularity", "One point for each.", {"enum": list(get_args(Granularity)), "default": "hour"})
_BEFORE = Parameter("before", "Only records with a `seq` below this.", {"type": "integer", "minimum": 0})


class AccountBalancesResource:
    """`/accounts/{exchange}/{name}/balances` and what is below it.

    Of an account or wallet that is not followed any more what it held stays readable; what it holds is not known.
    """

    def __init__(
        self,
        *,
        books: AccountBooks,
        accounts: AccountControl,
        freshness: Freshness,
        status: Status,
        now: Callable[[], datetime],
    ) -> None:
        self._status = status
        self._books = books
        self._accounts = accounts
        self._freshness = freshness
        self._now = now

    def routes(self) -> tuple[Route, ...]:
        def get(path: str, handler: object, summary: str, schema: str, *query: Parameter) -> Route:
            return Route(
                method="GET",
                path=path,
                handler=handler,  # type: ignore[arg-type]
                summary=summary,
                tag="accounts",
                query=query,
                answers={200: Answer(summary, schema)},
                problems=(400, 404, 422, 503),
            )

        all_of = f"{ACCOUNT}/balances"
        page, span = (LIMIT, CURSOR), (FROM, TO)
        return (
            get(all_of, self.page, "What the account holds", "AccountBalancePage", _WALLET, _ASSET, *page),
            get(SLOT, self.one, "One amount, as it is or as it was", "AccountBalance", AT),
            get(
                f"{SLOT}/history",
                self.history,
                "Its records, newest first",
                "AccountRecordPage",
                *page,
                _BEFORE,
                *span,
            ),
            get(f"{SLOT}/stats", self.stats, "Statistics over its records", "AccountStats", *span),
            get(f"{SLOT}/series", self.series, "Points for a chart", "AccountSeries", _PERIOD, _GRANULARITY, TO),
            get(f"{ACCOUNT}/positions", self.positions, "The newest word on each position", "PositionPage", *page),
            get(f"{ACCOUNT}/fundings", self.fundings, "Funding payments, newest first", "FundingPage", *page, *span),
        )

    async def page(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        limit, wallet, key = query.limit(), query.text("wallet"), key_of(request)
        if wallet is not None and wallet not in get_args(Wallet):
            raise Refused(f"one of {', '.join(get_args(Wallet))} is expected", "wallet")
        asset = query.asset()
        amounts = listing(_BALANCES, *key, wallet, asset)
        place = place_of(query, amounts, str, str)
        followed = self._accounts.account(key).wallets
        await self._freshness.caught_up()
        after = None if place is None else (*key, *place)
        rows = await self._books.current(
            key,
            wallets=followed if wallet is None else {wallet} & set(followed),
            asset=asset,
            after=None if after is None else (after[0], after[1], str(after[2]), str(after[3])),
            limit=limit + 1,
        )
        standing = Standing(self._status.streams())
        return json_answer(
            page_of(
                rows,
                limit,
                lambda row: current_json(row, standing),
                lambda row: cursor(amounts, *row.slot),
            )
        )

    async def one(self, request: web.Request) -> web.Response:
        time, key, slot = Query(request.query).time("at"), key_of(request), _slot(request)
        if time is None and slot.wallet not in self._accounts.account(key).wallets:
            raise NotFound(f"the {slot.wallet} wallet of {key} is not followed", "wallet")
        await self._freshness.caught_up()
        record = await (self._books.one(key, slot) if time is None else self._books.at_time(key, slot, time))
        if record is None and time is not None:
            raise _nothing_known(key, slot, " at or before that time", "at")
        if record is None:
            raise _nothing_known(key, slot)
        if time is None:
            return json_answer(current_json(record, Standing(self._status.streams())))
        return json_answer(account_balance_json(record) | {"stale": False})  # what held then is what held then

    async def history(self, request: web.Request) -> web.Response:
        query, key, slot = Query(request.query), key_of(request), _slot(request)
        limit, (start, end), before = query.limit(), query.span(), query.whole("before")
        records = listing(_HISTORY, *key, *slot)
        place = place_of(query, records, int)
        if place is not None:
            before = place[0] if before is None else min(before, place[0])
        await self._freshness.caught_up()
        rows = await self._books.history(key, slot, limit=limit + 1, before=before, start=start, end=end)
        if not rows:
            await self._refuse_unknown(key, slot)
        return json_answer(page_of(rows, limit, account_record_json, lambda row: cursor(records, row.seq)))

    async def stats(self, request: web.Request) -> web.Response:
        key, slot = key_of(request), _slot(request)
        start, end = Query(request.query).span()
        await self._freshness.caught_up()
        now = self._now()
        stats = await self._books.stats(key, slot, start=start, end=end, until=reached(end, now))
        if stats.course is None:
            await self._refuse_unknown(key, slot)
        if stats.records is None:
            refuse_to_come(start, now)
        return json_answer(asset_stats_json(key, slot, stats))

    async def series(self, request: web.Request) -> web.Response:
        query, key, slot = Query(request.query), key_of(request), _slot(request)
        period, granularity = query.text("period") or "24h", query.text("granularity") or "hour"
        if period not in PERIODS:
            raise Refused(f"one of {', '.join(PERIODS)} is expected", "period")
        if granularity not in get_args(Granularity):
            raise Refused(f"one of {', '.join(get_args(Granularity))} is expected", "granularity")
        step = cast(Granularity, granularity)
        end = reached(query.time("to"), self._now())  # what will hold nobody knows
        start = end - min(timedelta(days=PERIODS[period]), end - _EARLIEST)
        if stretches(start, end, step) > MOST_POINTS:
            raise Impossible(f"that would be more than {MOST_POINTS} points; take a coarser one", "granularity")
        await self._freshness.caught_up()
        before = await self._books.at_time(key, slot, start)
        series = Series(start, end, step, None if before is None else before.held.amounts.balance)
        async for time, balance in self._books.balances(key, slot, start=start, end=end):
            series.add(time, balance)
        points = series.points()
        if not points:
            await self._refuse_unknown(key, slot)
        named = {**account_json(key), **slot_json(slot), "granularity": granularity}
        return json_answer({**named, **whole([point_json(point) for point in points])})

    async def positions(self, request: web.Request) -> web.Response:
        query, key = Query(request.query), self._accounts.account(key_of(request)).key
        listed = listing(_POSITIONS, *key)
        limit, place = query.limit(), place_of(query, listed, str)
        await self._freshness.caught_up()
        rows = await self._books.positions(key, after=None if place is None else place[0], limit=limit + 1)
        return json_answer(page_of(rows, limit, account_position_json, lambda row: cursor(listed, row.position.symbol)))

    async def fundings(self, request: web.Request) -> web.Response:
        query, key = Query(request.query), key_of(request)
        payments = listing(_FUNDINGS, *key)
        limit, (start, end), place = query.limit(), query.span(), place_of(query, payments, str, str)
        await self._freshness.caught_up()
        before, after_id = (None, None) if place is None else (rfc3339(place[0], "cursor"), place[1])
        rows = await self._books.fundings(key, limit=limit + 1, before=before, after_id=after_id, start=start, end=end)
        if not (rows or await self._books.fundings(key, limit=1)):
            self._accounts.account(key)
        return json_answer(
            page_of(
                rows,
                limit,
                lambda row: funding_json(key, row),
                lambda row: cursor(payments, time_text(row.time), row.id),
            )
        )

    async def _refuse_unknown(self, key: AccountKey, slot: Slot) -> None:
        """Nothing in a time range is an answer; nothing known at all is not."""
        if await self._books.one(key, slot) is None:
            raise _nothing_known(key, slot)


def _nothing_known(key: AccountKey, slot: Slot, when: str = "", field: str | None = None) -> NotFound:
    return NotFound(f"nothing is known about {slot.asset} in the {slot.wallet} wallet of {key}{when}", field)


def _slot(request: web.Request) -> Slot:
    wallet = request.match_info["wallet"]
    if wallet not in get_args(Wallet):
        raise NotFound(f"there is no wallet {wallet[:64]!r}; there are {', '.join(get_args(Wallet))}", "wallet")
    return Slot(cast(Wallet, wallet), request.match_info["asset"])
