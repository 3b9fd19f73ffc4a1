from __future__ import annotations

from typing import Any

import pytest

from indexer.domain.health.status import StreamStatus
from indexer.domain.watching import Solver
from tests.api.conftest import HttpClient, World, problem_of
from tests.api.fakes import ALICE, BOB, USDC


async def test_an_order_without_a_chain_is_for_all_and_from_the_beginning(client: HttpClient, world: World) -> None:
    answer = await client.post("/api/v1/backfill", json={})
    assert answer.status == 201
    made = await answer.json()
    assert ([job["chainId"] for job in made["items"]], made["next"]) == ([1, 8453], None)
    assert world.control.ordered == [(1, None, None, 0, None), (8453, None, None, 0, None)]


async def test_an_order_names_what_it_is_about(client: HttpClient, world: World) -> None:
    body = {"chain": "ethereum", "token": USDC, "solver": ALICE, "fromBlock": 5, "toBlock": 9}
    answer = await client.post("/api/v1/backfill", json=body)
    assert world.control.ordered == [(1, USDC, ALICE, 5, 9)]
    (job,) = (await answer.json())["items"]
    assert (job["fromBlock"], job["toBlock"], job["state"], job["progress"]) == (5, 9, "queued", 0.0)


async def test_an_order_of_which_every_job_is_there_already_makes_nothing(client: HttpClient) -> None:
    first = await client.post("/api/v1/backfill", json={"chain": 1})
    again = await client.post("/api/v1/backfill", json={"chain": 1})
    assert (first.status, again.status) == (201, 200)
    assert await again.json() == await first.json()
    wider = await client.post("/api/v1/backfill", json={})
    assert wider.status == 201, "the other chain's is new"
    assert [job["chainId"] for job in (await wider.json())["items"]] == [1, 8453]
    assert (await client.post("/api/v1/backfill", json={})).status == 200


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"fromBlock": -1}, 400, "fromBlock"),
        ({"fromBlock": "1"}, 400, "fromBlock"),
        ({"fromBlock": True}, 400, "fromBlock"),
        ({"fromBlock": 5, "toBlock": 4}, 422, "toBlock"),
        ({"chain": 1, "fromBlock": 125}, 422, "fromBlock"),
        ({"chain": 1, "toBlock": 125}, 422, "toBlock"),
        ({"chain": 1, "fromBlock": 124, "toBlock": 10**12}, 422, "toBlock"),
        ({"chain": 1, "fromBlock": 125, "toBlock": 126}, 422, "fromBlock"),
        ({"chain": "mars"}, 422, "chain"),
        ({"solver": "0x12"}, 400, "solver"),
        ({"chain": "base", "token": USDC}, 422, "token"),
        ({"chain": "base", "token": USDC, "solver": BOB}, 422, "solver"),
        ({"token": BOB}, 422, "token"),
        ({"token": USDC, "solver": BOB}, 422, "solver"),
        ({"from": 5}, 400, "from"),
    ],
)
async def test_what_cannot_be_an_order_is_refused(
    client: HttpClient, world: World, body: dict[str, Any], status: int, field: str
) -> None:
    await problem_of(await client.post("/api/v1/backfill", json=body), status, field)
    assert world.control.ordered == []


async def test_an_order_for_all_chains_is_for_those_that_have_the_block(client: HttpClient, world: World) -> None:
    world.status.more = [StreamStatus("chain:8453", "base", newest_block=90)]
    assert (await client.post("/api/v1/backfill", json={"fromBlock": 91})).status == 201
    assert world.control.ordered == [(1, None, None, 91, None)]
    problem = await problem_of(await client.post("/api/v1/backfill", json={"fromBlock": 125}), 422, "fromBlock")
    assert problem["detail"] == "there is no block 125 yet: chain 1 is at block 124, chain 8453 is at block 90"


async def test_an_order_for_all_chains_is_for_those_that_watch_it(client: HttpClient, world: World) -> None:
    await world.watching.add_solver("bob", BOB, [8453])
    for body, chains in (
        ({"token": USDC}, [1]),
        ({"solver": BOB}, [8453]),
        ({"token": "native"}, [1, 8453]),
    ):
        world.control.ordered.clear()
        assert (await client.post("/api/v1/backfill", json=body)).status == 201
        assert [order[0] for order in world.control.ordered] == chains
    world.control.ordered.clear()
    # Each is watched somewhere, but not together.
    answer = await client.post("/api/v1/backfill", json={"token": USDC, "solver": BOB})
    problem = await problem_of(answer, 422, "token")
    assert problem["detail"] == "nothing like that is watched on any chain"
    assert world.control.ordered == []


async def test_an_order_where_nothing_is_watched_has_no_field_that_is_wrong(client: HttpClient, world: World) -> None:
    world.watching.file_solver = Solver("alice", ALICE, (), "file")
    problem = await problem_of(await client.post("/api/v1/backfill", json={}), 422)
    assert problem["detail"] == "nothing like that is watched on any chain"
    problem = await problem_of(await client.post("/api/v1/backfill", json={"chain": 1}), 422)
    assert problem["detail"] == "nothing like that is watched on chain 1"


async def test_a_chain_that_does_not_watch_it_need_not_have_the_block(client: HttpClient, world: World) -> None:
    world.status.more = [StreamStatus("chain:8453", "base", newest_block=900)]
    problem = await problem_of(
        await client.post("/api/v1/backfill", json={"token": USDC, "fromBlock": 125}), 422, "fromBlock"
    )
    assert problem["detail"] == "there is no block 125 yet: chain 1 is at block 124"


async def test_an_order_that_ends_somewhere_is_for_the_chains_that_got_there(client: HttpClient, world: World) -> None:
    world.status.more = [StreamStatus("chain:8453", "base", newest_block=90)]
    assert (await client.post("/api/v1/backfill", json={"fromBlock": 5, "toBlock": 124})).status == 201
    assert world.control.ordered == [(1, None, None, 5, 124)]
    problem = await problem_of(await client.post("/api/v1/backfill", json={"toBlock": 125}), 422, "toBlock")
    assert problem["detail"] == "there is no block 125 yet: chain 1 is at block 124, chain 8453 is at block 90"


async def test_an_order_is_taken_while_nobody_knows_where_the_chain_ends(client: HttpClient, world: World) -> None:
    body = {"chain": 8453, "fromBlock": 10_000_000}
    assert (await client.post("/api/v1/backfill", json=body)).status == 201
    assert world.control.ordered == [(8453, None, None, 10_000_000, None)]


async def test_jobs_are_paged_newest_first(client: HttpClient) -> None:
    for number in range(3):
        await client.post("/api/v1/backfill", json={"chain": 1, "fromBlock": number})
    page = await (await client.get("/api/v1/backfill?limit=2")).json()
    assert [job["fromBlock"] for job in page["items"]] == [2, 1]
    rest = await (await client.get(f"/api/v1/backfill?limit=2&cursor={page['next']}")).json()
    assert ([job["fromBlock"] for job in rest["items"]], rest["next"]) == ([0], None)
    assert (await (await client.get("/api/v1/backfill?chain=8453")).json())["items"] == []
