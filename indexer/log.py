"""The log: one line per event, for people or for programs, and no secret in it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from indexer.masking import MASK, Masker

_SECRET_KEYS: Final = frozenset(
    {"api_key", "apikey", "authorization", "passphrase", "password", "private_key", "secret"}
)
_MANY_LINES: Final = ("exception", "stack")
_QUIET: Final = {
    "aiohttp.access": logging.WARNING,  # a line per request is what /metrics is for
    "web3": logging.WARNING,  # its debug lines hold whole requests
    "pymongo": logging.WARNING,
    "websockets": logging.WARNING,
}
_MASKER: Final = Masker()
"""One for the process, as the log is; it never forgets a secret, since an old one may still turn up."""


def configure(
    log_format: str = "auto", *, secrets: Iterable[str] = (), verbose: bool = False, stream: TextIO | None = None
) -> None:
    """Send structlog and the standard library's logging to `stream` (stderr), masked.

    What libraries have to say is heard from `warning` up.
    """
    stream = stream or sys.stderr
    _MASKER.add(secrets)
    is_console = log_format == "console" or (log_format == "auto" and stream.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            _masked_by(_MASKER),
            *(_for_people(stream) if is_console else _for_programs()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _route_standard_logging()


def hide(secrets: Iterable[str]) -> None:
    """Mask these too, from now on: a reload brings new ones."""
    _MASKER.add(secrets)


def masked(text: str) -> str:
    """Without them, for what is logged where a program around us has its own log, with processors of its own."""
    return _MASKER(text)


class Routed(logging.Handler):
    """Passes what libraries log on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        event = {"logger": record.name, "exc_info": record.exc_info, "stack": record.stack_info}
        structlog.get_logger().log(
            record.levelno, record.getMessage(), **{key: value for key, value in event.items() if value}
        )


def _route_standard_logging() -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, Routed)]:
        root.removeHandler(handler)
    root.addHandler(Routed())
    root.setLevel(logging.WARNING)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=True)


def _masked_by(masker: Masker) -> Processor:
    """Exceptions and tracebacks are texts by now; whatever is no text becomes what it would be shown as."""

    def masked(value: Any) -> Any:
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return masker(value)
            case dict():
                return {masker(str(key)): _value(str(key), inner) for key, inner in value.items()}
            case list() | tuple() | set() | frozenset():
                return [masked(inner) for inner in value]
            case _:
                return masker(repr(value))

    def _value(key: str, value: Any) -> Any:
        return MASK if key.lower() in _SECRET_KEYS and value else masked(value)

    def process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: _value(key, value) for key, value in event.items()}

    return process


def _for_people(stream: TextIO) -> tuple[Processor, ...]:
    # Plain tracebacks: pretty ones show local variables, and those hold secrets.
    renderer = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), timestamp_key="time", exception_formatter=structlog.dev.plain_traceback
    )
    return (_without_control_characters, renderer)


def _for_programs() -> tuple[Processor, ...]:
    return (structlog.processors.JSONRenderer(serializer=json.dumps),)


def _without_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A token may call itself anything, a line break or a terminal's escape sequence included."""
    return {
        key: "\n".join(map(_one_line, value.split("\n"))) if key in _MANY_LINES else _one_line(value)
        for key, value in event.items()
        if value is not None or key not in _MANY_LINES
    }


def _one_line(value: Any) -> Any:
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in value)
