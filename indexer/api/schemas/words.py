"""What the schemas are written with."""

from __future__ import annotations

from typing import Any, Final, get_args

from indexer.domain.measuring.course import Direction

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
MAYBE_WHOLE: Final[Schema] = {"type": ["integer", "null"], "minimum": 0}
RAW: Final[Schema] = {"type": "string", "pattern": "^-?[0-9]+$", "description": "A raw amount."}
MAYBE_RAW: Final[Schema] = {**RAW, "type": ["string", "null"]}
AMOUNT: Final[Schema] = {
    "type": ["string", "null"],
    "description": "The raw amount scaled by `decimals`; null where the token does not tell them.",
}
ADDRESS: Final[Schema] = {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"}
TOKEN: Final[Schema] = {"type": "string", "pattern": "^(native|0x[0-9a-fA-F]{40})$"}
HASH: Final[Schema] = {"type": "string", "pattern": "^0x[0-9a-f]{64}$"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
MAYBE_TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
CHAIN: Final[Schema] = {"type": ["integer", "string"], "description": "A chain id or a configured name."}
SOURCE: Final[Schema] = {"enum": ["file", "api"], "description": "Where it was added."}
COURSE: Final[Schema] = {
    "changePercent": {"type": ["string", "null"], "description": "Of the first; null where that is 0."},
    "volatility": {
        "type": ["string", "null"],
        "description": "Standard deviation in percent of `timeWeightedAverage`; null where that is 0.",
    },
    "trend": {
        "type": ["object", "null"],
        "properties": {
            "direction": {"enum": list(get_args(Direction))},
            "strength": {"type": "number", "minimum": 0, "maximum": 1, "description": "How well a straight line fits."},
        },
        "required": ["direction", "strength"],
        "additionalProperties": False,
    },
}
"""What statistics of chains and of exchange accounts have in common."""


def an_object(properties: Schema, *, optional: tuple[str, ...] = (), closed: bool = True) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }
    return schema | ({"additionalProperties": False} if closed else {})


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(name: str) -> Schema:
    return {"type": "array", "items": ref(name)}


def whole(name: str) -> dict[str, Schema]:
    """A list that is never in parts."""
    return {"items": list_of(name), "next": {"type": "null", "description": "There is no other page."}}


def page_of(name: str) -> Schema:
    following = {"type": ["string", "null"], "description": "The `cursor` of the next page; null on the last."}
    return an_object({"items": list_of(name), "next": following})
