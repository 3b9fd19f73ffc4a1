"""History that was before us: order it to be filled, and see how far that got."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from indexer.api.answers import json_answer
from indexer.api.bodies import chain_of, read_object, text_of
from indexer.api.pages import cursor, listing, page_of, place_of, whole
from indexer.api.parameters import INT64, Query, address, token
from indexer.api.ports import Control, Status, Watching
from indexer.api.routes import API, CHAIN, CURSOR, LIMIT, Answer, Route
from indexer.domain.balances import misfit
from indexer.domain.chain import Address, Token
from indexer.domain.health.status import StreamStatus
from indexer.domain.history.jobs import Job
from indexer.domain.telling.streams import chain_stream
from indexer.domain.times import time_text
from indexer.errors import Impossible, Refused

_CURSOR = "backfill"


class BackfillResource:
    """`/backfill`."""

    def __init__(self, *, control: Control, watching: Watching, status: Status) -> None:
        self._control = control
        self._watching = watching
        self._status = status

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                method="GET",
                path=f"{API}/backfill",
                handler=self.page,
                summary="The jobs that fill history, newest first, and how far they got",
                tag="history",
                query=(CHAIN, LIMIT, CURSOR),
                answers={200: Answer("A page of jobs.", "BackfillPage")},
                problems=(400, 404),
            ),
            Route(
                method="POST",
                path=f"{API}/backfill",
                handler=self.order,
                summary="Fill the history of what is watched, from a block on",
                tag="history",
                scope="write",
                body="NewBackfill",
                answers={
                    200: Answer("All of these jobs were there already.", "BackfillList"),
                    201: Answer("The jobs, some of them made; they survive a restart.", "BackfillList"),
                },
                problems=(400, 408, 413, 415, 422, 503),
            ),
        )

    async def page(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        limit, chain_id = query.limit(), query.chain(self._watching.chains())
        ordered = listing(_CURSOR, chain_id)
        place = place_of(query, ordered, int, str)
        jobs = [
            job
            for job in self._control.backfills()
            if chain_id in (None, job.chain_id) and (place is None or [job.created, job.id] < place)
        ]
        return json_answer(page_of(jobs, limit, job_json, lambda job: cursor(ordered, job.created, job.id)))

    async def order(self, request: web.Request) -> web.Response:
        body = await read_object(request, ("chain", "token", "solver", "fromBlock", "toBlock"))
        known = self._watching.chains()
        chains = sorted(known.values()) if body.get("chain") is None else [chain_of(body["chain"], known, "chain")]
        wanted = token(text_of(body, "token")) if body.get("token") is not None else None
        solver = (
            address(text_of(body, "solver"), "solver", strict_case=True) if body.get("solver") is not None else None
        )
        first, last = _block(body, "fromBlock") or 0, _block(body, "toBlock")
        if last is not None and last < first:
            raise Impossible("`toBlock` is below `fromBlock`", "toBlock")
        jobs: list[Job] = []
        is_new = False
        having = self._that_have(first, self._that_watch(wanted, solver, chains), "fromBlock")
        for chain_id in having if last is None else self._that_have(last, having, "toBlock"):
            of_chain, is_made = await self._control.backfill(chain_id, wanted, solver, first, last)
            jobs += of_chain
            is_new |= is_made
        return json_answer(whole([job_json(job) for job in jobs]), 201 if is_new else 200)

    def _that_watch(self, token: Token | None, solver: Address | None, chains: Sequence[int]) -> Sequence[int]:
        """Those of the chains on which anything fits; never none."""
        watches = {chain_id: self._watching.watch(chain_id) for chain_id in chains}
        fitting = [chain_id for chain_id, watch in watches.items() if watch.has(token, solver)]
        if not fitting:
            where = f"chain {chains[0]}" if len(chains) == 1 else "any chain"
            raise Impossible(f"nothing like that is watched on {where}", misfit(watches.values(), token, solver))
        return fitting

    def _that_have(self, block: int, chains: Sequence[int], field: str) -> Sequence[int]:
        """Those of the chains that have the block, or where nobody knows yet; never none."""
        heads = {status.stream: _head(status) for status in self._status.streams()}
        reached = {chain_id: heads.get(chain_stream(chain_id)) for chain_id in chains}
        having = [chain_id for chain_id, head in reached.items() if head is None or head >= block]
        if not having:
            ends = ", ".join(f"chain {chain_id} is at block {head}" for chain_id, head in reached.items())
            raise Impossible(f"there is no block {block} yet: {ends}", field)
        return having


def _head(status: StreamStatus) -> int | None:
    """The newest block that was heard of; where we got to in an earlier life says nothing about it."""
    return None if status.newest_block is None else max(status.newest_block, status.block or 0)


def job_json(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "chainId": job.chain_id,
        "state": job.state,
        "fromBlock": job.begins,
        "toBlock": job.last,
        "balances": len(job.holdings),
        "progress": round(job.progress, 4),
        "records": job.records,
        "derived": job.derived,
        "unproven": [
            {"tokenAddress": holding.token, "solverAddress": holding.solver, "reason": reason}
            for holding, reason in sorted(job.reasons.items())
        ],
        "lastError": job.error,
        "createdAt": _time(job.created),
        "endedAt": None if job.ended is None else _time(job.ended),
    }


def _time(milliseconds: int) -> str:
    return time_text(datetime.fromtimestamp(milliseconds / 1000, UTC))


def _block(body: dict[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused("a block number is expected", name)
    if not 0 <= value <= INT64:
        raise Refused(f"a block number from 0 to {INT64} is expected", name)
    return value
