from __future__ import annotations

from indexer.domain.chain import Holding
from indexer.domain.health.incidents import Incident
from indexer.domain.health.unread import Unread
from indexer.errors import ConfigError, Problem
from tests.api.conftest import HttpClient, Serve, World, problem_of
from tests.api.fakes import ALICE, BOB, START, USDC


async def test_the_status_says_which_tokens_do_not_tell_and_since_when(client: HttpClient, world: World) -> None:
    held = {Holding(USDC, ALICE): 115, Holding(USDC, BOB): 0}
    world.status.unread = Unread(held, {USDC: Incident(116, "balanceOf fails: reverted", START)})
    streams = (await (await client.get("/api/v1/status")).json())["streams"]
    assert streams["chain:1"]["unreadableTokens"] == [
        {
            "tokenAddress": USDC,
            "balances": 2,
            "block": 116,
            "reason": "balanceOf fails: reverted",
            "since": "2026-11-21T01:02:03.000Z",
        }
    ]
    assert streams["chain:8453"]["unreadableTokens"] == []


async def test_the_status_has_every_field_of_the_contract(client: HttpClient) -> None:
    body = await (await client.get("/api/v1/status")).json()
    assert list(body["streams"]) == ["chain:1", "chain:8453"]
    assert body["streams"]["chain:1"] == {
        "name": "ethereum",
        "state": "live",
        "block": 123,
        "blockTime": "2026-11-21T01:06:39Z",
        "lagBlocks": 1,
        "lagSeconds": 0.4,
        "endpoint": "node-1",
        "heads": "ws",
        "seq": 42,
        "projectedSeq": 41,
        "restarts": 0,
        "lastError": None,
        "queueDepth": 0,
        "troubledEndpoints": [{"endpoint": "node-2", "health": "lost", "reason": "HTTP 401"}],
        "lastResync": {
            "block": 120,
            "reason": "a reorg deeper than the window",
            "at": "2026-11-21T01:02:03.000Z",
        },
        "lastSearchFailure": None,
        "unreadableTokens": [],
    }
    assert body["streams"]["chain:8453"]["blockTime"] is None
    assert body["streams"]["chain:8453"]["lastResync"] is None
    del body["streams"]
    assert body == {
        "version": "0.1.0",
        "uptimeSeconds": 5.0,
        "store": "memory",
        "subscribers": 3,
        "config": {
            "loadedAt": "2026-11-21T01:00:00.000Z",
            "problems": [],
            "hidden": {"solvers": [], "tokens": [], "accounts": []},
        },
    }


async def test_a_reload_answers_the_difference_or_every_problem(client: HttpClient, world: World) -> None:
    answer = await client.post("/api/v1/reload")
    assert (answer.status, await answer.json()) == (200, {"added": ["chains.base"]})
    world.control.reloaded = ConfigError(
        (Problem("service.port", "70000", "no port", "use 8080"), Problem("a", None, "b", "c"))
    )
    body = await problem_of(await client.post("/api/v1/reload"), 422)
    assert body["problems"] == ["service.port: no port (it is 70000); use 8080", "a: b; c"]


async def test_health_tells_what_keeps_the_process_from_its_job(client: HttpClient, world: World) -> None:
    assert (await client.get("/health")).status == 200
    world.status.problems = ["the store cannot be written"]
    body = await problem_of(await client.get("/health"), 503)
    assert body["problems"] == ["the store cannot be written"]


async def test_ready_tells_its_reasons_for_all_or_for_one_chain(client: HttpClient, world: World) -> None:
    assert await (await client.get("/ready")).json() == {"status": "ready"}
    world.status.reasons = ["base is catching up"]
    body = await problem_of(await client.get("/ready"), 503)
    assert body["reasons"] == ["base is catching up"]
    await problem_of(await client.get("/ready?chain=base"), 503)
    assert (await client.get("/ready?chain=1")).status == 200
    await problem_of(await client.get("/ready?chain=mars"), 404, "chain")


async def test_metrics_are_what_was_handed_in(client: HttpClient) -> None:
    answer = await client.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert await answer.text() == "indexer_up 1\n"


async def test_the_docs_work_without_internet(client: HttpClient) -> None:
    for name, kind in (("docs.html", "text/html"), ("docs.css", "text/css"), ("docs.js", "text/javascript")):
        answer = await client.get(f"/static/{name}")
        assert answer.content_type == kind
        assert "://" not in await answer.text()
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert await (await client.get("/docs")).text() == await (await client.get("/static/docs.html")).text()


async def test_the_pages_files_are_served_and_nothing_beside_them(client: HttpClient) -> None:
    assert (await client.get("/static/docs.html")).content_type == "text/html"
    for name in ("nope.js", "..%2Fapp.py", "%2e%2e%2fapp.py"):
        await problem_of(await client.get(f"/static/{name}"), 404)


async def test_every_answer_is_observed_under_its_pattern(client: HttpClient, world: World) -> None:
    await client.get("/api/v1/solvers?limit=0")
    await client.delete("/api/v1/solvers/nobody")
    await client.get("/api/v1/secret-things")
    await client.request("PROPFIND", "/docs")
    assert world.observed == [
        ("GET", "/api/v1/solvers", 400),
        ("DELETE", "/api/v1/solvers/{name}", 404),
        ("other", "unknown", 404),
        ("other", "unknown", 405),
    ]


async def test_without_a_websocket_there_is_none(serve: Serve) -> None:
    client = await serve(ws_handler=None)
    await problem_of(await client.get("/ws"), 404)
