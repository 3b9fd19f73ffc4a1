"""What a route is: one table of these makes the router, the access rules and the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from indexer.api.problems import Handler

Scope = Literal["read", "write", "admin"]
Method = Literal["GET", "POST", "PATCH", "DELETE"]

API: Final = "/api/v1"
ACCOUNT: Final = f"{API}/accounts/{{exchange}}/{{name}}"
SLOT: Final = f"{ACCOUNT}/balances/{{wallet}}/{{asset}}"
HOLDING: Final = f"{API}/balances/{{chain}}/{{token}}/{{solver}}"

_IN_PATH = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter; `schema` is JSON Schema."""

    name: str
    description: str
    schema: Mapping[str, Any]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: what it means and which schema it has, if any."""

    description: str
    schema: str | None = None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One call; `scope` is what an API key needs for it, none means that it is open."""

    method: Method
    path: str
    handler: Handler
    summary: str
    tag: str
    answers: Mapping[int, Answer]
    scope: Scope | None = "read"
    query: tuple[Parameter, ...] = ()
    body: str | None = None
    problems: tuple[int, ...] = field(default=())

    @property
    def path_parameters(self) -> tuple[str, ...]:
        return tuple(_IN_PATH.findall(self.path))


_TIME = {"type": "string", "format": "date-time"}
_BLOCK = {"type": "integer", "minimum": 0}

LIMIT = Parameter(
    "limit", "How many items a page has at most.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
)
CURSOR = Parameter("cursor", "`next` of the page before.", {"type": "string"})
CHAIN = Parameter("chain", "A chain id or a configured name.", {"type": "string"})
TOKEN = Parameter("token", "A token's address, in any case, or `native`.", {"type": "string"})
SOLVER = Parameter("solver", "A wallet's address, in any case.", {"type": "string"})
BLOCK = Parameter("block", "As it was at the end of this block.", _BLOCK)
AT = Parameter("at", "As it was at this time: the last block at or before it.", _TIME)
BEFORE = Parameter("before", "Only records of blocks below this number.", _BLOCK)
EXPLAIN = Parameter(
    "explain",
    "With all Transfer logs that made each record, and the part of its change that they leave unexplained.",
    {"type": "boolean", "default": False},
)
FROM = Parameter("from", "Only records of blocks at or after this time.", _TIME)
TO = Parameter("to", "Only records of blocks at or before this time.", _TIME)
STREAM = Parameter("stream", "The stream's name, such as `chain:1`.", {"type": "string"}, required=True)
AFTER = Parameter(
    "after",
    "Only events numbered above this; 0 means everything that is kept.",
    {"type": "integer", "minimum": 0, "default": 0},
)
