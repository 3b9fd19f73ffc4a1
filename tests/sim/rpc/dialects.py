"""What real nodes and providers say, word for word: each endpoint of a story speaks like one of them."""

from __future__ import annotations

from dataclasses import dataclass

Words = tuple[int, str]
"""A JSON-RPC error's code and message."""


@dataclass(frozen=True)
class Dialect:
    """One program's words for what every node runs into."""

    name: str
    no_state_block: Words
    """Asked for a balance at a block that it does not have."""
    no_logs_block: Words | None
    """Asked for the logs of one; null where there are no words."""
    pruned: Words
    announces_each: bool = True
    """After a reorg every replacement head is announced, or only the newest."""
    tells_removed: bool = True
    """Orphaned logs are told again, as removed."""


DIALECTS = (
    Dialect(
        "geth",
        (-32000, "header for hash not found"),
        (-32000, "unknown block"),
        (-32000, "missing trie node 5e3b1f (path ) state 0x5e3b1f is not available, not found"),
    ),
    Dialect(
        "reth",
        (-32001, "block not found: hash 0xb1"),
        (-32001, "block not found: hash 0xb1"),
        (-32603, "no state found for block number 12"),
        announces_each=False,
    ),
    Dialect(
        "nethermind",
        (-32001, "Header not found"),
        (-32001, "Block not found"),
        (-32002, "No state available for block 12 (0xb1)"),
        announces_each=False,
        tells_removed=False,
    ),
    Dialect(
        "anvil",
        (-32001, "Resource not found"),
        (-32000, "unknown block"),
        (-32000, "state at block #12 is pruned"),
        tells_removed=False,
    ),
    Dialect(
        "besu",
        (-39001, "Unknown block"),
        None,
        (-32000, "World state unavailable"),
    ),
)

RANGE_TOO_LONG: tuple[Words, ...] = (
    (-32701, "exceed maximum block range: {most}"),
    (-32602, "query exceeds max block range {most}"),
    (-32000, "requested too many blocks from 0 to 16777216, maximum is set to {most}"),
    (-32047, "Invalid eth_getLogs request. 'fromBlock'-'toBlock' range too large. Max range: {most}"),
    (-32005, "Log response size exceeded. Maximum allowed number of requested blocks is {most}"),
    (-32012, "requested range too large"),
    (-32614, "eth_getLogs is limited to a {most} range"),
    (-32602, "eth_getLogs is limited to 0 - {most} blocks range"),
    (35, "ranges over {most} blocks are not supported on freetier"),
    (-32000, "too wide blocks range, the limit is {most}"),
    (-32005, "limit exceeded"),
    (-32602, "invalid request: max allowed of rounds in logs query is: {most}"),
)

RESULT_TOO_LONG: tuple[Words, ...] = (
    (-32005, "query returned more than {most} results. Try with this block range [0xCB3D, 0x7B737]."),
    (-32602, "query exceeds max results {most}, retry with the range 24383075-24383096"),
    (
        -32602,
        "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limits",
    ),
)

BATCH_TOO_LONG: tuple[Words, ...] = (
    (-32600, "Too many requests in batch: {asked} > {most}"),
    (-32000, "batch too large"),
    (-32005, "Batch of more than {most} requests are not allowed on free tier, to use this feature register"),
    (-32600, "batch size too large"),
)

NO_BATCHES: Words = (-32600, "Batch requests are not supported")
NO_OVERRIDES: Words = (-32602, "too many arguments, want at most 2")

SLOW_DOWN: tuple[Words, ...] = (
    (-32005, "project ID request rate exceeded"),
    (-32005, "daily request count exceeded, request rate limited"),
    (-32001, "Too many requests, please try again later"),
    (-32007, "25/second request limit reached - reduce calls per second or upgrade your account"),
    (-32016, "over rate limit"),
    (15, "Too many request, try again later"),
    (429, "Your app has exceeded its compute units per second capacity."),
)

SICK: tuple[Words, ...] = (
    (-32603, "Internal error"),
    (-32011, "no backend is currently healthy to serve traffic"),
    (-32000, "internal server error"),
)

PAGES = (
    b"<!DOCTYPE html><html><head><title>503 Backend fetch failed</title></head><body><h1>Error 503</h1></body></html>",
    b"<html><head><title>Attention Required! | Cloudflare</title></head><body>error code: 1020</body></html>",
    b"upstream connect error or disconnect/reset before headers",
    b"",
)
