"""What nodes and providers mean when they refuse: from what they say (`phrases.py`) to our errors, in one table."""

from __future__ import annotations

import re
from typing import Any, Final

from indexer.clients.evm.asking import phrases
from indexer.clients.evm.asking.names import without_secrets
from indexer.clients.evm.asking.phrases import Phrases
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
    """A call needs more gas than the endpoint gives one call."""


class TimedOut(NodeUnreachable):
    """Its time was up, says the endpoint: it is ill, unless less of the same passes there."""


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
    | TimedOut
    | Unsupported
]

_BY_TEXT: Final[tuple[tuple[_Kind, Phrases], ...]] = (
    (BlockUnknown, phrases.ABOVE_THE_HEAD),
    (StateMissing, phrases.TOO_OLD),
    # Many sizes and one lost state (nitro's) are told as a limit that was exceeded: throttling comes after both.
    (ResponseTooLarge, phrases.TOO_LARGE),
    (GasExhausted, phrases.OUT_OF_GAS),
    (TimedOut, phrases.TIMED_OUT),
    (StateMissing, phrases.STATE_GONE),
    (BlockUnknown, phrases.BLOCK_UNKNOWN),
    (Throttled, phrases.THROTTLED),
    (NodeUnreachable, phrases.NOBODY_THERE),
    (CallFailed, phrases.CALL_FAILED),
    (Unsupported, phrases.UNSUPPORTED),
)
"""The first that matches tells what it means."""

_REVERTED: Final = 3
_LIMIT_EXCEEDED: Final = -32005
"""Of whatever kind, as EIP-1474 has it."""

_BY_CODE: Final[dict[int, _Kind]] = {
    429: Throttled,
    _LIMIT_EXCEEDED: Throttled,
    -32001: Throttled,
    -32016: Throttled,
    -32029: Throttled,
    -32015: CallFailed,
    -32801: StateMissing,
    -32601: Unsupported,
    -32602: Unsupported,
}


def _any_of(said: Phrases) -> re.Pattern[str]:
    return re.compile("|".join(pattern for _, pattern in said))


_REVERT: Final = _any_of(phrases.REVERTED)
_COMPILED: Final = tuple((kind, _any_of(said)) for kind, said in _BY_TEXT)
_HEIGHTS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"height (?P<asked>\d+) is not available, lowest height is (?P<known>\d+)",  # evmos
        r"requested height: (?P<asked>\d+), base height: (?P<known>\d+)",  # cosmos
        r"failed to load state at height (?P<asked>\d+)\b.*latest height: (?P<known>\d+)",  # cosmos
        r"block height is (?P<known>\d+) but requested was (?P<asked>\d+)\b",  # anvil
    )
)
"""The same words for a block that is still to come and for one whose state is gone: the two numbers tell which."""

_BARE_LIMIT: Final = re.compile(r"(error: )?limit exceeded[.!]?")
"""BSC's words for a range of logs that is too long, and those of others for too many requests."""

_LONGEST: Final = 300
_NAMED_WAIT: Final = re.compile(r"(?:retry|try again) (?:in|after) (\d{1,5}(?:\.\d+)?) ?s(?:ec|\b)")

LONGEST_WAIT: Final = 120.0
"""Seconds; whoever asks for more is asked again after these."""


def refusal(error: Any, url: str = "", *, of_range: bool = False) -> IndexerError:
    """An error object, of a call or of a whole batch, as the error that we act upon.

    Texts go before codes: one code stands for "too many results" here and for "too many requests" there. A text
    may repeat the key in the endpoint's `url`, which is masked. `of_range`: the logs of several blocks were asked for.
    """
    if not isinstance(error, dict):
        return BadAnswer(f"an error that is no object: {str(error)[:_LONGEST]}")
    code, text = error.get("code"), without_secrets(_text(error), url)
    kind = kind_of(code if isinstance(code, int) else None, text, of_range=of_range)
    told = f"{text} ({code})" if code is not None else text
    return Throttled(told, _wait(error, text)) if kind is Throttled else kind(told)


def kind_of(code: int | None, text: str, *, of_range: bool = False) -> _Kind:
    """What a refusal means; `BadAnswer` where nobody has met such words yet."""
    lowered = text.lower()
    if code == _REVERTED or _REVERT.search(lowered):
        # Before all else: what follows is the contract author's text, which may say anything.
        return CallFailed
    if of_range and _BARE_LIMIT.fullmatch(lowered):
        return ResponseTooLarge
    return _by_heights(lowered) or _by_text(lowered) or _by_code(code, of_range=of_range)


def _by_heights(lowered: str) -> _Kind | None:
    for pattern in _HEIGHTS:
        if (found := pattern.search(lowered)) is not None:
            return StateMissing if int(found["asked"]) < int(found["known"]) else BlockUnknown
    return None


def _by_text(lowered: str) -> _Kind | None:
    return next((kind for kind, pattern in _COMPILED if pattern.search(lowered)), None)


def _by_code(code: int | None, *, of_range: bool) -> _Kind:
    if code == _LIMIT_EXCEEDED and of_range:
        return ResponseTooLarge
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
