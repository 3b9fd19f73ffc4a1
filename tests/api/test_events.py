from __future__ import annotations

import pytest

from indexer.domain.telling.commits import Commit
from indexer.domain.telling.events import event_json
from indexer.domain.telling.facts import ChainFinalized
from tests.api.conftest import HttpClient, World, problem_of
from tests.api.fakes import START, block

EVENTS = "/api/v1/events"


def commits(*sizes: int) -> list[Commit]:
    found: list[Commit] = []
    for size in sizes:
        first = found[-1].last_seq + 1 if found else 1
        facts = tuple(ChainFinalized(1, block(number), "safe") for number in range(first, first + size))
        found.append(Commit(f"c{first}", "chain:1", first, START, facts))
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages_of_events_meet_inside_of_commits_and_between_them(
    client: HttpClient, world: World, limit: int
) -> None:
    world.log.commits = commits(3, 1, 2, *([1] * 20))
    found = []
    query: dict[str, str] | None = {"stream": "chain:1", "limit": str(limit)}
    while query is not None:
        body = await (await client.get(EVENTS, params=query)).json()
        assert len(body["items"]) <= limit
        found += body["items"]
        query = query | {"cursor": body["next"]} if body["next"] else None
    assert found == [event_json(event) for commit in world.log.commits for event in commit.events("7f3a9c01")]


async def test_one_who_polls_goes_on_from_the_last_number(client: HttpClient, world: World) -> None:
    world.log.commits = commits(3)
    body = await (await client.get(f"{EVENTS}?stream=chain:1&after=2")).json()
    assert [item["seq"] for item in body["items"]] == [3]
    assert await (await client.get(f"{EVENTS}?stream=chain:1&after=3")).json() == {"items": [], "next": None}


async def test_a_poller_gets_nothing_before_it_is_told_since_queries_wait_for_no_more_than_that(
    client: HttpClient, world: World
) -> None:
    world.log.commits, world.freshness.last = commits(3, 3), 3
    body = await (await client.get(f"{EVENTS}?stream=chain:1")).json()
    assert [item["seq"] for item in body["items"]] == [1, 2, 3]
    assert await (await client.get(f"{EVENTS}?stream=chain:1&after=3")).json() == {"items": [], "next": None}
    await problem_of(await client.get(f"{EVENTS}?stream=chain:1&after=4"), 410, "after")


async def test_a_stream_that_has_told_nothing_yet_is_empty_and_one_that_is_not_is_not_found(client: HttpClient) -> None:
    assert (await (await client.get(f"{EVENTS}?stream=chain:8453")).json())["items"] == []
    await problem_of(await client.get(f"{EVENTS}?stream=chain:5"), 404, "stream")
    await problem_of(await client.get(EVENTS), 400, "stream")


async def test_events_that_are_not_kept_and_numbers_never_told_are_gone(client: HttpClient, world: World) -> None:
    world.log.commits, world.log.kept_from, world.freshness.last = commits(3, 3), 4, 6
    assert len((await (await client.get(f"{EVENTS}?stream=chain:1")).json())["items"]) == 3
    assert len((await (await client.get(f"{EVENTS}?stream=chain:1&after=3")).json())["items"]) == 3
    body = await problem_of(await client.get(f"{EVENTS}?stream=chain:1&after=2"), 410, "after")
    assert "4 to 6" in body["detail"]
    await problem_of(await client.get(f"{EVENTS}?stream=chain:1&after=7"), 410, "after")


async def test_a_cursor_leads_on_in_its_own_stream_only(client: HttpClient, world: World) -> None:
    world.log.commits = commits(3)
    cursor = (await (await client.get(f"{EVENTS}?stream=chain:1&limit=1")).json())["next"]
    await problem_of(await client.get(f"{EVENTS}?stream=chain:8453&cursor={cursor}"), 400, "cursor")
