from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from aiohttp import web

from indexer.api.app import ROUTES
from indexer.api.openapi import openapi
from indexer.api.problems import KINDS
from indexer.api.schemas.components import SCHEMAS
from tests.api.conftest import HttpClient, Serve, World
from tests.api.fakes import ALICE, BOB, USDC
from tests.api.test_events import commits

BODIES = ("audit", "solvers", "tokens", "backfill", "accounts")


async def _ws(_request: web.Request) -> web.StreamResponse:
    return web.Response()


@pytest.fixture
async def document(serve: Serve) -> dict[str, Any]:
    client = await serve(ws_handler=_ws)
    return dict(await (await client.get("/openapi.json")).json())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


async def test_every_route_is_described_and_every_description_has_a_route(
    world: World, document: dict[str, Any]
) -> None:
    app = world.app(ws_handler=_ws)
    routed = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None}
    described = {(method, path) for method, path, _ in operations(document)}
    assert {(method, path) for method, path in routed if method != "HEAD"} == described
    assert len(app[ROUTES]) == len(described)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


async def test_every_reference_in_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert len(found) > 20
    for reference in found:
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, reference
            node = node[part]


async def test_the_document_is_complete_and_consistent(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"]
    assert document["info"]["version"] == "0.1.0"
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for method, path, operation in operations(document):
        in_path = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
        assert in_path == re.findall(r"\{(\w+)\}", path)
        assert all(one["required"] for one in operation["parameters"] if one["in"] == "path")
        assert any(status < "400" for status in operation["responses"]), path
        assert operation["summary"]
        has_body = method == "PATCH" or (method == "POST" and path.rsplit("/", 1)[-1] in BODIES)
        assert ("requestBody" in operation) == has_body
        assert bool(operation["security"]) == (
            not path.startswith(("/static", "/docs", "/openapi", "/health", "/ready")) and path != "/"
        )


def test_what_is_required_in_a_schema_is_a_property_of_it() -> None:
    for schema in SCHEMAS.values():
        assert set(schema.get("required", ())) <= set(schema.get("properties", ()))


def test_every_problem_that_a_route_tells_of_has_a_meaning(world: World) -> None:
    routes = world.app(ws_handler=_ws)[ROUTES]
    assert {status for route in routes for status in route.problems} <= set(KINDS)
    assert orjson.dumps(openapi(routes, version="1"))


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "schema"),
    [
        ("GET", f"/api/v1/balances/1/{USDC}/{ALICE}", None, 200, "Balance"),
        ("GET", "/api/v1/balances", None, 200, "BalancePage"),
        ("GET", f"/api/v1/balances/1/{USDC}/{ALICE}/history", None, 200, "RecordPage"),
        ("GET", f"/api/v1/balances/1/{USDC}/{ALICE}/history?explain=true", None, 200, "RecordPage"),
        ("GET", f"/api/v1/balances/1/{USDC}/{ALICE}/stats", None, 200, "Stats"),
        ("GET", f"/api/v1/balances/1/native/{ALICE}/stats", None, 200, "Stats"),
        ("POST", f"/api/v1/balances/1/{USDC}/{ALICE}/refresh", None, 200, "Balance"),
        ("POST", "/api/v1/audit", {"count": 5}, 200, "Audit"),
        ("GET", "/api/v1/audit", None, 200, "AuditWaits"),
        ("GET", "/api/v1/solvers", None, 200, "SolverPage"),
        ("POST", "/api/v1/solvers", {"name": "bob", "address": BOB}, 201, "Solver"),
        ("GET", "/api/v1/tokens", None, 200, "TokenPage"),
        ("POST", "/api/v1/tokens", {"chain": 1, "addresses": [BOB]}, 201, "TokenList"),
        ("GET", "/api/v1/events?stream=chain:1", None, 200, "EventPage"),
        ("GET", "/api/v1/status", None, 200, "Status"),
        ("GET", "/health", None, 200, "Health"),
        ("GET", "/ready", None, 200, "Ready"),
        ("GET", "/api/v1/balances?limit=0", None, 400, "Problem"),
    ],
)
async def test_answers_are_what_the_schemas_say(
    client: HttpClient, world: World, method: str, path: str, body: Any, status: int, schema: str
) -> None:
    world.log.commits = commits(2)
    answer = await client.request(method, path, json=body)
    assert answer.status == status
    check(await answer.json(content_type=None), {"$ref": f"#/components/schemas/{schema}"}, schema)


KIND = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}


def check(value: Any, schema: dict[str, Any], where: str) -> None:
    """As much of JSON Schema as our schemas use."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rsplit("/", 1)[-1]]
    assert value in schema.get("enum", [value]), where
    assert value == schema.get("const", value), where
    allowed = schema.get("type", KIND[type(value)])
    assert {KIND[type(value)]} & ({allowed} if isinstance(allowed, str) else set(allowed)) or (
        type(value) is int and allowed == "number"
    ), where
    if isinstance(value, str):
        assert re.search(schema.get("pattern", ""), value), where
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check(item, schema.get("items", {}), f"{where}[{index}]")
    elif isinstance(value, dict):
        check_members(value, schema, where)


def check_members(value: dict[str, Any], schema: dict[str, Any], where: str) -> None:
    properties = schema.get("properties", {})
    assert set(schema.get("required", ())) <= value.keys(), where
    others = schema.get("additionalProperties", True)
    for name, item in value.items():
        assert name in properties or others is not False, f"{where}.{name}"
        inner = properties.get(name, others)
        check(item, inner if isinstance(inner, dict) else {}, f"{where}.{name}")
