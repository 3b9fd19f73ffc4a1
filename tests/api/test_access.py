from __future__ import annotations

import pytest
from aiohttp import web

from indexer.api.access import ApiKey
from indexer.api.app import ACCESS
from tests.api.conftest import HttpClient, Serve, problem_of
from tests.api.fakes import ALICE, BOB, USDC
from tests.api.test_server import raw_answer

KEYS = (
    ApiKey("reader", "r-key", frozenset({"read"})),
    ApiKey("writer", "w-key", frozenset({"write"})),
    ApiKey("boss", "a-key", frozenset({"admin"})),
    ApiKey("nobody", "n-key", frozenset()),
)
REFRESH = f"/api/v1/balances/1/{USDC}/{ALICE}/refresh"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def _ws(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.close()
    return socket


@pytest.fixture
async def keyed(serve: Serve) -> HttpClient:
    return await serve(keys=KEYS, ws_handler=_ws)


@pytest.fixture
def url(keyed: HttpClient) -> str:
    return str(keyed.make_url("/"))


@pytest.fixture
async def local(serve: Serve) -> HttpClient:
    return await serve(local_only=True, ws_handler=_ws)


@pytest.mark.parametrize("path", ["/health", "/ready", "/docs", "/openapi.json", "/static/docs.html"])
async def test_some_calls_need_no_key(keyed: HttpClient, path: str) -> None:
    assert (await keyed.get(path)).status == 200


@pytest.mark.parametrize("path", ["/api/v1/balances", "/api/v1/status", "/metrics", "/ws", "/nope", "/api/v1/nope"])
@pytest.mark.parametrize(
    "headers", [{}, bearer("wrong"), bearer(""), {"Authorization": "Basic r-key"}, {"X-API-Key": "x"}]
)
async def test_everything_else_is_closed_without_a_known_key(
    keyed: HttpClient, path: str, headers: dict[str, str]
) -> None:
    answer = await keyed.get(path, headers=headers)
    await problem_of(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("method", "path", "reader", "writer", "boss"),
    [
        ("GET", "/api/v1/balances", 200, 200, 200),
        ("HEAD", "/api/v1/balances", 200, 200, 200),
        ("GET", "/metrics", 200, 200, 200),
        ("POST", "/api/v1/solvers", 403, 201, 201),
        ("DELETE", "/api/v1/solvers/x", 403, 404, 404),
        ("POST", "/api/v1/tokens", 403, 400, 400),
        ("POST", REFRESH, 403, 200, 200),
        ("POST", "/api/v1/reload", 403, 403, 200),
        ("GET", "/nope", 404, 404, 404),
    ],
)
async def test_a_scope_reaches_what_it_names_and_what_is_below(
    serve: Serve, method: str, path: str, reader: int, writer: int, boss: int
) -> None:
    for key, status in (("r-key", reader), ("w-key", writer), ("a-key", boss)):
        client = await serve(keys=KEYS)
        body = {"name": f"bob-{key}", "address": BOB} if path in ("/api/v1/solvers", "/api/v1/tokens") else None
        answer = await client.request(method, path, headers=bearer(key), json=body)
        expected = 422 if status == 201 and key == "a-key" else status
        assert answer.status == expected, key


async def test_a_key_without_scopes_opens_nothing(keyed: HttpClient) -> None:
    body = await problem_of(await keyed.get("/api/v1/balances", headers=bearer("n-key")), 403)
    assert "nobody" in body["detail"]


async def test_a_key_may_come_in_its_own_header(keyed: HttpClient) -> None:
    assert (await keyed.get("/api/v1/balances", headers={"X-API-Key": "r-key"})).status == 200
    assert (await keyed.get("/api/v1/balances", headers={"authorization": "bearer  r-key "})).status == 200


async def test_only_a_websocket_may_carry_its_key_in_the_address(keyed: HttpClient) -> None:
    async with keyed.ws_connect("/ws?api_key=r-key"):
        pass
    await problem_of(await keyed.get("/api/v1/balances?api_key=r-key"), 401)
    await problem_of(await keyed.get("/ws?api_key=wrong"), 401)


def test_a_key_is_in_no_text_about_it() -> None:
    assert "r-key" not in repr(KEYS[0])


async def test_bytes_that_are_no_text_are_no_key(url: str) -> None:
    answer = await raw_answer(
        url, b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-API-Key: \xff\xfe\r\n\r\n"
    )
    assert b" 401 " in answer.splitlines()[0]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://[", "garbage"])
async def test_a_foreign_page_changes_nothing_and_hears_nothing(local: HttpClient, origin: str) -> None:
    headers = {"Origin": origin}
    await problem_of(await local.post("/api/v1/reload", headers=headers), 403)
    await problem_of(await local.delete("/api/v1/solvers/bob", headers=headers), 403)
    await problem_of(await local.get("/ws", headers=headers), 403)
    assert (await local.get("/api/v1/balances", headers=headers)).status == 200


async def test_our_own_page_may(local: HttpClient) -> None:
    headers = {"Origin": str(local.make_url("")).rstrip("/")}
    assert (await local.post("/api/v1/reload", headers=headers)).status == 200
    async with local.ws_connect("/ws", headers=headers):
        pass


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "10.0.0.1", "[", "localhost.evil.example"])
async def test_a_foreign_name_for_this_machine_is_not_answered(local: HttpClient, host: str) -> None:
    await problem_of(await local.get("/api/v1/balances", headers={"Host": host}), 403)


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST", "127.1.2.3:1"])
async def test_its_own_names_are(local: HttpClient, host: str) -> None:
    assert (await local.get("/api/v1/balances", headers={"Host": host})).status == 200


async def test_with_keys_any_name_and_page_will_do(keyed: HttpClient) -> None:
    headers = bearer("a-key") | {"Origin": "https://desk.example", "Host": "indexer.example"}
    assert (await keyed.post("/api/v1/reload", headers=headers)).status == 200


async def test_other_keys_are_in_force_from_the_next_request_on(keyed: HttpClient) -> None:
    assert (await keyed.get("/api/v1/status", headers=bearer("r-key"))).status == 200
    assert keyed.app is not None
    access = keyed.app[ACCESS]
    access.change(keys=[ApiKey("reader", "new-key", frozenset({"read"}))], local_only=False)
    await problem_of(await keyed.get("/api/v1/status", headers=bearer("r-key")), 401)
    assert (await keyed.get("/api/v1/status", headers=bearer("new-key"))).status == 200
