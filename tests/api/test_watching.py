from __future__ import annotations

from typing import Any

import pytest

from indexer.domain.watching import Solver, WatchedToken
from indexer.errors import NodeUnreachable, NotAToken, WrongChain
from tests.api.conftest import HttpClient, World, problem_of
from tests.api.fakes import ALICE, BOB, USDC

SOLVERS = "/api/v1/solvers"
TOKENS = "/api/v1/tokens"
ZERO = "0x" + "0" * 40
NEW = "0x" + "cd" * 20


async def test_solvers_are_listed_by_name_page_by_page(client: HttpClient, world: World) -> None:
    world.watching.api_solvers = [Solver("zoe", BOB, (1,)), Solver("Bob", BOB)]
    first = await (await client.get(f"{SOLVERS}?limit=2")).json()
    rest = await (await client.get(f"{SOLVERS}?limit=2&cursor={first['next']}")).json()
    assert first["items"] == [
        {"name": "Bob", "address": BOB, "chains": None, "source": "api"},
        {"name": "alice", "address": ALICE, "chains": None, "source": "file"},
    ]
    assert rest == {"items": [{"name": "zoe", "address": BOB, "chains": [1], "source": "api"}], "next": None}


@pytest.mark.parametrize(
    ("chains", "ids"), [({}, None), ({"chains": None}, None), ({"chains": ["base", 1, "8453"]}, [1, 8453])]
)
async def test_an_added_solver_comes_back_with_its_place(
    client: HttpClient, chains: dict[str, Any], ids: list[int] | None
) -> None:
    answer = await client.post(SOLVERS, json={"name": "bob-1.x_y", "address": BOB.lower()} | chains)
    assert answer.status == 201
    assert answer.headers["Location"] == f"{SOLVERS}/bob-1.x_y"
    assert await answer.json() == {"name": "bob-1.x_y", "address": BOB, "chains": ids, "source": "api"}


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"address": BOB}, 400, "name"),
        ({"name": None, "address": BOB}, 400, "name"),
        ({"name": 7, "address": BOB}, 400, "name"),
        ({"name": "", "address": BOB}, 400, "name"),
        ({"name": "a/b", "address": BOB}, 400, "name"),
        ({"name": "x" * 65, "address": BOB}, 400, "name"),
        ({"name": "bob"}, 400, "address"),
        ({"name": "bob", "address": "bob.eth"}, 400, "address"),
        ({"name": "bob", "address": BOB[:-1]}, 400, "address"),
        ({"name": "bob", "address": ALICE.replace("d", "D")}, 400, "address"),
        ({"name": "bob", "address": ZERO}, 422, "address"),
        ({"name": "bob", "address": ["x"]}, 400, "address"),
        ({"name": "bob", "address": BOB, "chains": "base"}, 400, "chains"),
        ({"name": "bob", "address": BOB, "chains": []}, 400, "chains"),
        ({"name": "bob", "address": BOB, "chains": ["base", "mars"]}, 422, "chains[1]"),
        ({"name": "bob", "address": BOB, "chains": [7]}, 422, "chains[0]"),
        ({"name": "bob", "address": BOB, "chains": [-1]}, 422, "chains[0]"),
        ({"name": "bob", "address": BOB, "chains": [2**200]}, 400, None),
        ({"name": "bob", "address": BOB, "chains": [True]}, 400, "chains[0]"),
        ({"name": "bob", "address": BOB, "chains": [1.5]}, 400, "chains[0]"),
        ({"name": "bob", "address": BOB, "chain": [1]}, 400, "chain"),
        ({"name": "alice", "address": BOB}, 409, "name"),
        ({"name": "bob", "address": ALICE}, 422, "address"),
    ],
)
async def test_a_solver_that_cannot_be_added_is_refused_by_field(
    client: HttpClient, body: dict[str, Any], status: int, field: str | None
) -> None:
    if field is None:
        answer = await client.post(
            SOLVERS, data=str(body).replace("'", '"'), headers={"Content-Type": "application/json"}
        )
        assert answer.status in (400, 422)
        return
    await problem_of(await client.post(SOLVERS, json=body), status, field)


async def test_removing_a_solver_answers_nothing_and_only_once(client: HttpClient, world: World) -> None:
    world.watching.api_solvers = [Solver("bob", BOB)]
    answer = await client.delete(f"{SOLVERS}/bob")
    assert (answer.status, await answer.read()) == (204, b"")
    await problem_of(await client.delete(f"{SOLVERS}/bob"), 404)
    await problem_of(await client.delete(f"{SOLVERS}/alice"), 422)


async def test_tokens_are_listed_by_chain_and_address(client: HttpClient, world: World) -> None:
    world.watching.watched.insert(0, WatchedToken(8453, BOB))
    first = await (await client.get(f"{TOKENS}?limit=1")).json()
    rest = await (await client.get(f"{TOKENS}?limit=1&cursor={first['next']}")).json()
    assert first["items"] == [
        {
            "chainId": 1,
            "tokenAddress": USDC,
            "decimals": 6,
            "tokenSymbol": "USDC",
            "tokenName": "USD Coin",
            "source": "file",
        }
    ]
    assert [item["chainId"] for item in rest["items"]] == [8453]
    assert rest["next"] is None
    assert len((await (await client.get(f"{TOKENS}?chain=base")).json())["items"]) == 1


async def test_added_tokens_are_made_once_and_found_again(client: HttpClient) -> None:
    body = {"chain": "base", "addresses": [NEW, USDC]}
    answer = await client.post(TOKENS, json=body)
    assert answer.status == 201
    items = (await answer.json())["items"]
    assert {item["tokenAddress"].lower() for item in items} == {NEW, USDC.lower()}
    again = await client.post(TOKENS, json=body)
    assert again.status == 200
    assert (await again.json())["items"] == items


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"addresses": [NEW]}, 400, "chain"),
        ({"chain": [1], "addresses": [NEW]}, 400, "chain"),
        ({"chain": "mars", "addresses": [NEW]}, 422, "chain"),
        ({"chain": 1}, 400, "addresses"),
        ({"chain": 1, "addresses": NEW}, 400, "addresses"),
        ({"chain": 1, "addresses": []}, 400, "addresses"),
        ({"chain": 1, "addresses": [NEW] * 1001}, 400, "addresses"),
        ({"chain": 1, "addresses": [NEW, NEW.upper()]}, 422, "addresses[1]"),
        ({"chain": 1, "addresses": [NEW, "0x12"]}, 400, "addresses[1]"),
        ({"chain": 1, "addresses": [None]}, 400, "addresses[0]"),
        ({"chain": 1, "addresses": [ZERO]}, 422, "addresses[0]"),
        ({"chain": 1, "addresses": ["native"]}, 422, "addresses[0]"),
        ({"chain": 1, "addresses": [ALICE.replace("d", "D")]}, 400, "addresses[0]"),
        ({"chain": 1, "adresses": [NEW]}, 400, "adresses"),
    ],
)
async def test_tokens_that_cannot_be_added_are_refused_by_field(
    client: HttpClient, body: dict[str, Any], status: int, field: str
) -> None:
    await problem_of(await client.post(TOKENS, json=body), status, field)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotAToken("there is no contract at 0x…"), 422),
        (NodeUnreachable("no"), 503),
        (WrongChain("another genesis"), 422),
    ],
)
async def test_what_the_node_says_of_a_new_token_decides(
    client: HttpClient, world: World, error: Exception, status: int
) -> None:
    world.watching.failure = error
    await problem_of(await client.post(TOKENS, json={"chain": 1, "addresses": [NEW]}), status)


async def test_removing_a_token_takes_any_case(client: HttpClient) -> None:
    assert (await client.delete(f"{TOKENS}/ethereum/{USDC.upper()}")).status == 204
    await problem_of(await client.delete(f"{TOKENS}/1/{USDC}"), 404)
    await problem_of(await client.delete(f"{TOKENS}/mars/{USDC}"), 404, "chain")
    await problem_of(await client.delete(f"{TOKENS}/1/0x12"), 400, "address")
    await problem_of(await client.delete(f"{TOKENS}/1/native"), 422, "address")
