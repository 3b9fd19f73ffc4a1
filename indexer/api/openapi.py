"""The OpenAPI 3.1 document, made from the same routes that the router is made from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from indexer.api.problems import KINDS, PROBLEM_JSON
from indexer.api.routes import Answer, Parameter, Route
from indexer.api.schemas.components import SCHEMAS

_ALWAYS: Final = (400, 500)
_WITH_KEY: Final = (401, 403)
_ALTERNATIVES: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"header": []}]
_PATH_PARAMETERS: Final = {
    "exchange": "The exchange, in lower case, such as `binance`.",
    "wallet": "A kind of wallet, such as `spot`.",
    "asset": "The asset, in upper case, such as `USDT`.",
    "chain": "A chain id or a configured name.",
    "token": "A token's address, in any case, or `native`.",
    "solver": "A wallet's address, in any case.",
    "address": "A token's address, in any case.",
    "name": "The name of a solver, or of an account.",
    "file": "A file's name.",
}
_ABOUT: Final = (
    "What solvers own, on every chain, as of the newest block, and as of any block before. Raw amounts are decimal "
    "strings; `amount` is the same number scaled by `decimals`. Times are RFC 3339 in UTC. Every error is a problem "
    "(RFC 9457). No answer is behind an event that was already delivered."
)


def openapi(routes: Iterable[Route], *, version: str) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Solver balance indexer", "version": version, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "responses": {str(status): _problem(status) for status in KINDS},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "x-problems": [{"status": status, **kind._asdict()} for status, kind in KINDS.items()],
    }


def _operation(route: Route) -> dict[str, Any]:
    statuses = {*route.problems, *_ALWAYS, *(_WITH_KEY if route.scope else ())}
    problems = {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}
    operation: dict[str, Any] = {
        "operationId": _name(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [_in_path(name) for name in route.path_parameters] + [_in_query(one) for one in route.query],
        "responses": {str(status): _answer(answer) for status, answer in route.answers.items()} | problems,
        "security": _ALTERNATIVES if route.scope else [],
    }
    if route.scope:
        operation["description"] = f"Where API keys are configured this needs the scope `{route.scope}`."
    if route.body:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{route.body}"}}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _name(route: Route) -> str:
    words = re.findall(r"[a-z]+", route.path.removeprefix("/api/v1"))
    return "_".join([route.method.lower(), *words])


def _in_path(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _PATH_PARAMETERS[name],
        "schema": {"type": "string"},
    }


def _in_query(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }


def _answer(answer: Answer) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.description}
    if answer.schema:
        response["content"] = {answer.content_type: {"schema": {"$ref": f"#/components/schemas/{answer.schema}"}}}
    elif answer.content_type:
        response["content"] = {answer.content_type: {"schema": {"type": "string"}}}
    return response


def _problem(status: int) -> dict[str, Any]:
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": f"{KINDS[status].title}. {KINDS[status].meaning}", "content": content}
