"""The wallets that are watched: list, add, remove."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from indexer.api.answers import json_answer
from indexer.api.bodies import chain_of, list_of, name_of, read_object, text_of
from indexer.api.pages import cursor, page_of, place_of
from indexer.api.parameters import Query, address
from indexer.api.ports import Watching
from indexer.api.routes import API, CURSOR, LIMIT, Answer, Route
from indexer.api.shapes import solver_json

MOST_CHAINS: Final = 1000

_CURSOR = "solvers"


class SolversResource:
    """`/solvers`."""

    def __init__(self, *, watching: Watching) -> None:
        self._watching = watching

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                method="GET",
                path=f"{API}/solvers",
                handler=self.page,
                summary="The solvers that are watched",
                tag="watching",
                query=(LIMIT, CURSOR),
                answers={200: Answer("A page of solvers, by name.", "SolverPage")},
                problems=(400,),
            ),
            Route(
                method="POST",
                path=f"{API}/solvers",
                handler=self.add,
                summary="Watch one more solver",
                tag="watching",
                scope="write",
                body="NewSolver",
                answers={201: Answer("The solver that is watched now.", "Solver")},
                problems=(400, 409, 408, 413, 415, 422, 503),
            ),
            Route(
                method="DELETE",
                path=f"{API}/solvers/{{name}}",
                handler=self.remove,
                summary="Stop watching a solver; its history stays",
                tag="watching",
                scope="write",
                answers={204: Answer("It is not watched any more.", content_type="")},
                problems=(404, 422, 503),
            ),
        )

    async def page(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        limit = query.limit()
        place = place_of(query, _CURSOR, str)
        solvers = sorted(self._watching.solvers(), key=lambda solver: solver.name)
        rest = [solver for solver in solvers if place is None or solver.name > place[0]]
        return json_answer(page_of(rest, limit, solver_json, lambda solver: cursor(_CURSOR, solver.name)))

    async def add(self, request: web.Request) -> web.Response:
        body = await read_object(request, ("name", "address", "chains"))
        name = name_of(body)
        wallet = address(text_of(body, "address"), "address", strict_case=True)
        solver = await self._watching.add_solver(name, wallet, self._chains(body))
        return json_answer(solver_json(solver), 201, {"Location": f"{API}/solvers/{quote(solver.name, safe='')}"})

    async def remove(self, request: web.Request) -> web.Response:
        await self._watching.remove_solver(request.match_info["name"])
        return web.Response(status=204)

    def _chains(self, body: dict[str, Any]) -> list[int] | None:
        if body.get("chains") is None:
            return None
        known = self._watching.chains()
        named = list_of(body, "chains", MOST_CHAINS)
        return sorted({chain_of(value, known, f"chains[{index}]") for index, value in enumerate(named)})
