"""Reading stored records again: counts within bounds, one audit at a time, and what differs in full."""

from __future__ import annotations

import pytest

from indexer.domain.recording.audits import Audit, Difference, Unanswered, Wait
from indexer.errors import Busy
from tests.api.conftest import HttpClient, World, problem_of
from tests.api.fakes import ALICE, USDC

PATH = "/api/v1/audit"


async def test_what_differs_is_shown_with_what_was_stored_and_read(client: HttpClient, world: World) -> None:
    older, newer = world.balances.rows
    world.control.audited = Audit(5, (Difference(newer, 7), Difference(older, None)), 3, 1)
    body = await (await client.post(PATH, json={"count": 9})).json()
    assert world.control.asked == [9]
    assert (body["checked"], body["unreadable"], body["skipped"]) == (5, 3, 1)
    assert [(one["blockNumber"], one["stored"], one["read"]) for one in body["differing"]] == [
        (110, "7500000", "7"),
        (100, "5", None),
    ]
    assert {(one["tokenAddress"], one["solverAddress"]) for one in body["differing"]} == {(USDC, ALICE)}


async def test_without_a_body_a_hundred_are_read(client: HttpClient, world: World) -> None:
    assert (await client.post(PATH)).status == 200
    assert world.control.asked == [100]


@pytest.mark.parametrize("count", [0, -1, 1001, "5", 1.5, True, None])
async def test_a_count_out_of_bounds_is_refused(client: HttpClient, world: World, count: object) -> None:
    await problem_of(await client.post(PATH, json={"count": count}), 400, "count")
    assert world.control.asked == []


async def test_a_second_audit_has_to_wait(client: HttpClient, world: World) -> None:
    world.control.audited = Busy("an audit is going on already")
    await problem_of(await client.post(PATH, json={}), 429)


async def test_a_chain_that_nobody_answered_for_is_named_with_its_endpoint(client: HttpClient, world: World) -> None:
    world.control.audited = Audit(5, (), 3, 0, (Unanswered(7, "mute", "node:8545", 3, "no answer"),))
    body = await (await client.post(PATH, json={})).json()
    assert body["unanswered"] == [
        {"chainId": 7, "name": "mute", "endpoint": "node:8545", "records": 3, "reason": "no answer"}
    ]


async def test_what_an_audit_waits_for_can_be_asked(client: HttpClient, world: World) -> None:
    assert await (await client.get(PATH)).json() == {"running": False, "waiting": []}
    world.control.waits = (Wait(7, "mute", "node:8545", 3, 2.5),)
    assert await (await client.get(PATH)).json() == {
        "running": True,
        "waiting": [{"chainId": 7, "name": "mute", "endpoint": "node:8545", "records": 3, "seconds": 2.5}],
    }
