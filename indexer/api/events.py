"""The events of a stream, for those who poll."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from indexer.api.answers import json_answer
from indexer.api.pages import cursor, page_of, place_of
from indexer.api.parameters import Query
from indexer.api.ports import CommitLog, Freshness, Status
from indexer.api.problems import BadRequest
from indexer.api.routes import AFTER, API, CURSOR, LIMIT, STREAM, Answer, Route
from indexer.domain.telling.commits import Event
from indexer.domain.telling.events import event_json
from indexer.errors import NotFound, Refused

COMMITS_AT_ONCE: Final = 16
"""A commit may be megabytes; most hold a few events."""

_CURSOR = "events"


class EventsResource:
    """`/events`: the commit log, up to what was told: whoever got an event can read what it says."""

    def __init__(self, *, log: CommitLog, freshness: Freshness, status: Status, epoch: str) -> None:
        self._log = log
        self._freshness = freshness
        self._status = status
        self._epoch = epoch

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                method="GET",
                path=f"{API}/events",
                handler=self.page,
                summary="The events of one stream, oldest first",
                tag="events",
                query=(STREAM, AFTER, LIMIT, CURSOR),
                answers={200: Answer("A page of events, as the websocket tells them.", "EventPage")},
                problems=(400, 404, 410, 503),
            ),
        )

    async def page(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        stream = query.text("stream")
        if stream is None:
            raise Refused("missing; GET /api/v1/status lists the streams", "stream")
        limit, after = query.limit(), query.whole("after") or 0
        place = place_of(query, _CURSOR, str, int)
        if place is not None:
            if place[0] != stream:
                raise Refused("this cursor is of another stream", "cursor")
            after = max(after, place[1])
        await self._refuse_gap(stream, after)
        events = await self._events(stream, after, limit + 1)
        answer = page_of(events, limit, event_json, lambda event: cursor(_CURSOR, stream, event.seq))
        return json_answer(answer)

    async def _refuse_gap(self, stream: str, after: int) -> None:
        """Events that are not kept any more, or a number that was never told: never an empty success."""
        newest = self._freshness.told().get(stream, 0)
        if not newest and all(status.stream != stream for status in self._status.streams()):
            raise NotFound(f"there is no stream {stream[:64]!r}", "stream")
        oldest = await self._log.first_seq(stream) or 1
        if after > newest or 0 < after < oldest - 1:
            kept = f"{stream} has the events {oldest} to {newest}" if newest else f"{stream} has told nothing yet"
            again = "read /api/v1/balances again and go on from there"
            raise BadRequest(410, f"{kept}: nothing follows on {after}; {again}.", field="after")

    async def _events(self, stream: str, after: int, wanted: int) -> list[Event]:
        events: list[Event] = []
        # A commit is in the log a moment before it is told, and queries wait for what was told alone.
        told = self._freshness.told().get(stream, 0)
        while len(events) < wanted:
            commits = await self._log.since(stream, after, COMMITS_AT_ONCE)
            events += [event for commit in commits for event in commit.events(self._epoch) if after < event.seq <= told]
            if len(commits) < COMMITS_AT_ONCE or commits[-1].last_seq >= told:
                break
            after = commits[-1].last_seq
        return events[:wanted]
