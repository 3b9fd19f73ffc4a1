"""ccxt with every digit: numbers are never floats, and no exception in a websocket handler goes unseen.

ccxt is transport and parser here. Its JSON decoders make floats, so the decoder is replaced, for REST and websockets;
its receive loop ends for good, in silence, when a handler raises, so every frame goes through a tap that does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from types import MethodType
from typing import Any, Final

from indexer.clients.exchange.pinging import hear, ping
from indexer.clients.exchange.throttle import Cost
from indexer.clients.exchange.unreadable import safe_balance

Tap = Callable[[Any], bool]
"""Hears a frame first; true when it was for nobody else."""

Failed = Callable[[Exception], None]

_decoder: Final = json.JSONDecoder(parse_float=str, parse_constant=str)
"""A float's text is the number; ccxt takes numbers as strings everywhere. Integers are exact as they are."""


_ANSWERS: Final[ContextVar[list[Any] | None]] = ContextVar("answers", default=None)


def decoded(text: str) -> Any:
    return _decoder.decode(text)


@contextmanager
def answers() -> Iterator[list[Any]]:
    """What this task is answered meanwhile, as it was decoded; nothing in the place of what is no JSON."""
    kept: list[Any] = []
    token = _ANSWERS.set(kept)
    try:
        yield kept
    finally:
        _ANSWERS.reset(token)


def note(answer: Any) -> None:
    kept = _ANSWERS.get()
    if kept is not None:
        kept.append(answer)


def ccxt_class(name: str) -> Any:
    """Ccxt's class for an exchange, with its websockets where there are any; nothing for one that it does not know."""
    import ccxt.async_support  # noqa: PLC0415 - 1.3 s and 60 MB: paid by those who have accounts
    import ccxt.pro  # noqa: PLC0415

    if name not in ccxt.async_support.exchanges:
        return None
    return getattr(ccxt.pro, name, None) or getattr(ccxt.async_support, name)


def exact_class(base: Any) -> Any:
    """The same exchange, with exact decoding, a tap on its frames, and the venue's own time instead of ours.

    `tap`, `failed`, `noticed`, `answered` and `skew` are set on instances, and `sockets`, the session of websockets;
    `nonces` are those of the key. `unlisted` is told of names that are not in the venue's lists.
    `shapes` are what the answers of each wallet look like, where only that tells an empty one from none.
    """

    def on_json_response(_self: Any, body: str) -> Any:
        return decoded(body)

    def client(self: Any, url: str) -> Any:
        made = base.client(self, url)
        if "handle_text_or_binary_message" not in vars(made):
            made.handle_text_or_binary_message = MethodType(_text, made)
            made.connect = MethodType(partial(_connect, self.sockets), made)
            made.future = MethodType(_future, made)
            made.ping_loop = MethodType(ping, made)
            made.handle_message = MethodType(partial(hear, self.noticed), made)
        return made

    def handle_message(self: Any, client: Any, message: Any) -> None:
        try:
            if not self.tap(message):
                base.handle_message(self, client, message)
        except Exception as error:  # noqa: BLE001 - the boundary: what a handler raises would end the loop in silence
            self.failed(error)

    def on_rest_response(self: Any, *answer: Any) -> Any:
        status, _, url, _, headers = answer[:5]
        self.answered(url, status, headers)
        return base.on_rest_response(self, *answer)

    def milliseconds(self: Any) -> int:
        return int(base.milliseconds() + self.skew())

    def seconds(self: Any) -> int:
        return int(self.milliseconds() // 1000)

    replaced = {
        "__dir__": _directory(),
        "on_json_response": on_json_response,
        "parse_json": _noting(base),
        "client": client,
        "handle_message": handle_message,
        "safe_balance": _balancing(base),
        "safe_currency": _naming(base.safe_currency, "currencies_by_id", "currencies"),
        "safe_market": _naming(base.safe_market, "markets_by_id", "markets"),
    }
    seen: dict[str, Callable[..., Any]] = {
        "on_rest_response": on_rest_response,
        "calculate_rate_limiter_cost": _costing(base),
        "milliseconds": milliseconds,
        "seconds": seconds,
        "incrementing_nonce": _numbering(base),
    }
    quiet = {
        "tap": staticmethod(lambda _message: False),
        "failed": staticmethod(lambda _error: None),
        "noticed": staticmethod(lambda: None),
        "unlisted": staticmethod(lambda _name: None),
    }
    alone = {"skew": staticmethod(lambda: 0), "answered": staticmethod(lambda *_answer: None), "sockets": None}
    plain = {"nonces": None, "shapes": None}
    return type(f"Exact{base.__name__}", (base,), {**replaced, **seen, **quiet, **alone, **plain})


def _noting(base: Any) -> Callable[..., Any]:
    def parse_json(self: Any, body: str) -> Any:
        answer = base.parse_json(self, body)
        note(answer)
        return answer

    return parse_json


def _balancing(base: Any) -> Callable[..., Any]:
    def balance(self: Any, found: dict[str, Any]) -> Any:
        return safe_balance(base, self, found)

    return balance


def _naming(found: Callable[..., Any], ids: str, usual: str) -> Callable[..., Any]:
    """What goes by this name. Once there are lists, who keeps them is told of one that is neither theirs nor ccxt's."""

    def safe(self: Any, *given: Any, **named: Any) -> Any:
        name, theirs = given[0] if given else None, getattr(self, ids)
        if name and theirs and name not in theirs and name not in (getattr(self, usual) or ()):
            self.unlisted(str(name))
        return found(self, *given, **named)

    return safe


def _numbering(base: Any) -> Callable[..., int]:
    def incrementing_nonce(self: Any) -> int:
        return int(base.incrementing_nonce(self) if self.nonces is None else self.nonces.after(int(self.nonce())))

    return incrementing_nonce


def _costing(base: Any) -> Callable[..., Cost]:
    """Ccxt hands the throttler what a request costs, and nothing of what is asked."""

    def cost(self: Any, api: Any, method: Any, path: str, params: Any, config: Any = None) -> Cost:
        config = config or {}
        try:
            weight = base.calculate_rate_limiter_cost(self, api, method, path, params, config)
        except TypeError:  # pacifica's reckons with a number of ours, which is a text
            weight = float(config.get("cost", 1))
        return Cost(weight, api if isinstance(api, str) else api[0], path)

    return cost


def _directory() -> Callable[[Any], list[str]]:
    """What instances of one class have to look through for names.

    ccxt writes all of them in its other style for each instance again, though methods got theirs with the first: that
    was 4 of the 4.6 ms that an instance took.
    """
    usual: list[str] = []

    def directory(self: Any) -> list[str]:
        if usual:
            return [*usual, *vars(self)]
        names = list(object.__dir__(self))
        usual.extend(name for name in names if not isinstance(getattr(self, name, None), MethodType))
        return names

    return directory


def _future(self: Any, message_hash: str) -> Any:
    """Ccxt rejects what nobody waits for any more; asyncio would log that, with the URLs that failed."""
    made = type(self).future(self, message_hash)
    made.add_done_callback(lambda over: over.cancelled() or over.exception())
    return made


def _text(self: Any, data: str | bytes) -> None:
    """What ccxt's websocket client does with a frame, with the exact decoder."""
    text = data.decode() if isinstance(data, bytes) else data
    is_json = text[:1] in ("{", "[")
    self.on_message_callback(self, decoded(text) if is_json else text)


def _connect(sockets: Any, self: Any, session: Any, backoff_delay: float = 0) -> Any:
    """Connected over the session of websockets, not over that of requests, whose connections are few."""
    return type(self).connect(self, sockets or session, backoff_delay)
