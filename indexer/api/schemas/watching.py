"""What is watched: wallets and tokens."""

from __future__ import annotations

from typing import Final

from indexer.api.schemas.words import (
    ADDRESS,
    CHAIN,
    MAYBE_TEXT,
    MAYBE_WHOLE,
    SOURCE,
    TEXT,
    WHOLE,
    Schema,
    an_object,
    page_of,
    whole,
)

WATCH_SCHEMAS: Final[Schema] = {
    "Solver": an_object(
        {
            "name": TEXT,
            "address": ADDRESS,
            "chains": {"type": ["array", "null"], "items": WHOLE, "description": "Chain ids; null means all."},
            "source": SOURCE,
        }
    ),
    "SolverPage": page_of("Solver"),
    "NewSolver": an_object(
        {
            "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
            "address": ADDRESS,
            "chains": {"type": ["array", "null"], "items": CHAIN, "minItems": 1, "maxItems": 1000},
        },
        optional=("chains",),
    ),
    "Token": an_object(
        {
            "chainId": WHOLE,
            "tokenAddress": ADDRESS,
            "decimals": MAYBE_WHOLE,
            "tokenSymbol": MAYBE_TEXT,
            "tokenName": MAYBE_TEXT,
            "source": SOURCE,
        }
    ),
    "TokenPage": page_of("Token"),
    "TokenList": an_object(whole("Token")),
    "NewTokens": an_object(
        {"chain": CHAIN, "addresses": {"type": "array", "items": ADDRESS, "minItems": 1, "maxItems": 1000}}
    ),
}
