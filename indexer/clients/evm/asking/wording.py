"""What nodes and providers say when they refuse, and which of our errors it means: the one table of it."""

from __future__ import annotations

import re
from typing import Any, Final

from indexer.clients.evm.asking.names import without_secrets
from indexer.errors import (
    BadAnswer,
    BlockUnknown,
    IndexerError,
    NodeUnreachable,
    Permanent,
    ResponseTooLarge,
    StateMissing,
    Throttled,
)


class CallFailed(Permanent):
    """The contract itself failed: it reverted, or ran into an invalid instruction."""


class GasExhausted(ResponseTooLarge):
    """A call needs more gas, or time, than the endpoint gives one call."""


class Unsupported(Permanent):
    """The endpoint does not know this method, or this parameter of it."""


_Kind = type[
    BadAnswer
    | BlockUnknown
    | CallFailed
    | GasExhausted
    | NodeUnreachable
    | ResponseTooLarge
    | StateMissing
    | Throttled
    | Unsupported
]

_BY_TEXT: Final[tuple[tuple[_Kind, tuple[str, ...]], ...]] = (
    # A range that ends above the node's head is no size, though it speaks of one.
    (BlockUnknown, (r"beyond (the )?(current )?head", r"block .*in the future")),
    # "Too many requests in a batch" is no throttling, "exceeds 10000 results" no rate limit: sizes come first.
    (
        ResponseTooLarge,
        (
            r"batch (request )?(size|limit|too|of more|length)|batch.*(exceed|too (large|many|big))",
            r"too many (requests|calls) in (a |the )?(single )?batch",
            r"(response|result|payload|body|content|message|request)( (size|length|entity))?( is)? too (large|big)",
            r"(response|result|payload|body|content|message|request) (size|length) exceed",
            r"(more than|exceeds?|limited to|maximum( of)?) \d[\d,_k]* (results|logs|blocks|events|topics|addresses)",
            r"too many (results|logs|topics|addresses|blocks)",
            r"exceeds? (the )?(max(imum)? )?(number of )?(results|topics|addresses|logs|block)",
            r"block range|range (is )?too (large|wide)|max results|log response size|query (exceeds|returned more)",
            r"(eth_getlogs|eth_newfilter) (is|are) limited to|range limit|limit(ed)? the query to|blocks distance",
            r"range \d+ exceeds|exceeds the range|ranges over \d|wide blocks? range|requested (more than|blocks is) \d",
            r"response size should not|must be smaller than size|(specify|less number of) (an )?address",
        ),
    ),
    (
        GasExhausted,
        (
            r"out ?of ?gas|gas (required )?exceeds|exceeds (the )?gas|gas (cap|limit|allowance)",
            r"execution (aborted|timeout)|evm timeout|query timeout|timeout exceeded|timed? ?out|deadline exceeded",
        ),
    ),
    (
        StateMissing,
        (
            r"missing trie node|missing state|pruned|pruning|proof window|metadata is not found",
            r"history is available from|historical state|no state available",
            r"state (is )?(not |un)available|state .*not (available|found)",
            r"archive",
        ),
    ),
    (
        BlockUnknown,
        (
            r"unknown (block|header|hash)|no block with|block ?out ?of ?range|resource not found",
            r"(block|header|hash).*(not found|not exist|n't exist|unknown|not currently canonical)",
            r"(can ?not|can't|could not) (find|be found).*block|block.*(can ?not|could not) be found",
            r"requested data not available|query unfinalized|height \d+ is not available",
            r"height must be less than|block height passed is invalid",
        ),
    ),
    (
        Throttled,
        (
            r"rate.?limit|too many requests|request rate|requests? (count|limit)|daily (request|limit)|slow down",
            r"capacity|compute units|throughput|quota|throttl|credits|backend is busy",
            r"limit (was |is )?(exceeded|reached)|exceeded.*limit|too much load|reached the free tier",
        ),
    ),
    (NodeUnreachable, (r"no backend|(not|un)healthy|tenant disabled|cannot fulfill request",)),
    (
        CallFailed,
        (
            r"revert|invalid opcode|evm error|vm execution|bad (jump|instruction)|invalid jump",
            r"stack (under|over)",
        ),
    ),
    (
        Unsupported,
        (
            r"method .*(not found|not (available|supported|exist|whitelisted|included)|unavailable)",
            r"unsupported|not supported",
            r"too many (arguments|parameters|params)|invalid (argument|params|parameters|number of)|override",
        ),
    ),
)

_BY_CODE: Final[dict[int, _Kind]] = {
    3: CallFailed,
    429: Throttled,
    -32005: Throttled,
    -32001: Throttled,
    -32016: Throttled,
    -32029: Throttled,
    -32015: CallFailed,
    -32601: Unsupported,
    -32602: Unsupported,
}

_COMPILED: Final = tuple((kind, re.compile("|".join(patterns))) for kind, patterns in _BY_TEXT)
_TOO_LOW: Final = re.compile(
    r"height (?P<asked>\d+) is not available, lowest height is (?P<lowest>\d+)"
    r"|block height is (?P<height>\d+) but requested was (?P<asked_of>\d+)\b"
)
"""The same words for a block that is still to come and for one whose state is gone: the two numbers tell which."""

_LONGEST: Final = 300
_NAMED_WAIT: Final = re.compile(r"(?:retry|try again) (?:in|after) (\d{1,5}(?:\.\d+)?) ?s(?:ec|\b)")

LONGEST_WAIT: Final = 120.0
"""Seconds; whoever asks for more is asked again after these."""


def refusal(error: Any, url: str = "") -> IndexerError:
    """An error object, of a call or of a whole batch, as the error that we act upon.

    Texts go before codes: one code stands for "too many results" here and for "too many requests" there. A text
    may repeat the key in the endpoint's `url`, which is masked.
    """
    if not isinstance(error, dict):
        return BadAnswer(f"an error that is no object: {str(error)[:_LONGEST]}")
    code, text = error.get("code"), without_secrets(_text(error), url)
    kind = kind_of(code if isinstance(code, int) else None, text)
    told = f"{text} ({code})" if code is not None else text
    return Throttled(told, _wait(error, text)) if kind is Throttled else kind(told)


def kind_of(code: int | None, text: str) -> _Kind:
    """What a refusal means; `BadAnswer` where nobody has met such words yet."""
    lowered = text.lower()
    if code == 3:
        # A revert's text is the contract author's: it may say anything.
        return CallFailed
    named = _TOO_LOW.search(lowered)
    if named is not None and int(named["asked"] or named["asked_of"]) < int(named["lowest"] or named["height"]):
        return StateMissing
    for kind, pattern in _COMPILED:
        if pattern.search(lowered):
            return kind
    return _BY_CODE.get(code or 0, BadAnswer)


def _wait(error: dict[str, Any], text: str) -> float | None:
    """Seconds that a throttling answer asks for: Infura puts them into its data, others into their words."""
    data = error.get("data")
    rate = data.get("rate") if isinstance(data, dict) else None
    asked = rate.get("backoff_seconds") if isinstance(rate, dict) else None
    if isinstance(asked, int | float) and asked > 0:
        return min(float(asked), LONGEST_WAIT)
    named = _NAMED_WAIT.search(text.lower())
    return None if named is None else min(float(named[1]), LONGEST_WAIT)


def _text(error: dict[str, Any]) -> str:
    message = str(error.get("message") or "an error without a message")
    data = error.get("data")
    # Some nodes say "internal error" and put the reason into `data`.
    detail = f": {data}" if isinstance(data, str) and not data.startswith("0x") else ""
    return (message + detail)[:_LONGEST]
