"""The tokens that are watched: list, add, remove."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from indexer.api.answers import json_answer
from indexer.api.bodies import chain_of, list_of, read_object
from indexer.api.pages import cursor, listing, page_of, place_of, whole
from indexer.api.parameters import Query, address, chain_id
from indexer.api.ports import Watching
from indexer.api.routes import API, CHAIN, CURSOR, LIMIT, Answer, Route
from indexer.api.shapes import token_json
from indexer.domain.chain import NATIVE, Address
from indexer.domain.watching import WatchedToken
from indexer.errors import Impossible, Refused

MOST_ADDRESSES: Final = 1000

_CURSOR = "tokens"


class TokensResource:
    """`/tokens`."""

    def __init__(self, *, watching: Watching) -> None:
        self._watching = watching

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                method="GET",
                path=f"{API}/tokens",
                handler=self.page,
                summary="The tokens that are watched",
                tag="watching",
                query=(CHAIN, LIMIT, CURSOR),
                answers={200: Answer("A page of tokens, by chain id and address.", "TokenPage")},
                problems=(400, 404),
            ),
            Route(
                method="POST",
                path=f"{API}/tokens",
                handler=self.add,
                summary="Watch more tokens of a chain",
                tag="watching",
                scope="write",
                body="NewTokens",
                answers={
                    200: Answer("All of them were watched already.", "TokenList"),
                    201: Answer("They are watched now.", "TokenList"),
                },
                problems=(400, 408, 413, 415, 422, 503),
            ),
            Route(
                method="DELETE",
                path=f"{API}/tokens/{{chain}}/{{address}}",
                handler=self.remove,
                summary="Stop watching a token; its history stays",
                tag="watching",
                scope="write",
                answers={204: Answer("It is not watched any more.", content_type="")},
                problems=(400, 404, 422, 503),
            ),
        )

    async def page(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        limit, chain = query.limit(), query.chain(self._watching.chains())
        watched = listing(_CURSOR, chain)
        place = place_of(query, watched, int, str)
        after = None if place is None else (place[0], place[1])
        tokens = sorted(self._watching.tokens(), key=_place)
        rest = [
            token
            for token in tokens
            if (chain is None or token.chain_id == chain) and (after is None or _place(token) > after)
        ]
        return json_answer(page_of(rest, limit, token_json, lambda token: cursor(watched, *_place(token))))

    async def add(self, request: web.Request) -> web.Response:
        body = await read_object(request, ("chain", "addresses"))
        if body.get("chain") is None:
            raise Refused("missing", "chain")
        chain = chain_of(body["chain"], self._watching.chains(), "chain")
        tokens, is_new = await self._watching.add_tokens(chain, _addresses(body))
        return json_answer(whole([token_json(token) for token in tokens]), 201 if is_new else 200)

    async def remove(self, request: web.Request) -> web.Response:
        chain = chain_id(request.match_info["chain"], self._watching.chains())
        text = request.match_info["address"]
        _refuse_native(text, "address")
        await self._watching.remove_token(chain, address(text, "address"))
        return web.Response(status=204)


def _addresses(body: dict[str, Any]) -> list[Address]:
    found: dict[Address, None] = {}
    for index, value in enumerate(list_of(body, "addresses", MOST_ADDRESSES)):
        field = f"addresses[{index}]"
        if not isinstance(value, str):
            raise Refused("an address is expected", field)
        _refuse_native(value, field)
        token = address(value, field, strict_case=True)
        if token in found:
            raise Impossible("this token is in the list twice", field)
        found[token] = None
    return list(found)


def _refuse_native(text: str, field: str) -> None:
    if text.lower() == NATIVE:
        raise Impossible("the native coin is always watched", field)


def _place(token: WatchedToken) -> tuple[int, str]:
    return token.chain_id, token.address
