"""What a story says, with virtual times."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog


@contextlib.contextmanager
def aloud() -> Iterator[None]:
    """Whatever is logged is said."""
    before = structlog.get_config()
    structlog.configure(processors=[_logged], wrapper_class=structlog.make_filtering_bound_logger(0))
    try:
        yield
    finally:
        structlog.configure(**before)


def say(line: str) -> None:
    try:
        now = asyncio.get_running_loop().time()
    except RuntimeError:
        now = 0.0
    print(f"{now:10.4f} {line}")  # noqa: T201 - that is what it is for


def _logged(_logger: object, level: str, event: MutableMapping[str, Any]) -> str:
    name = event.pop("event")
    say(f"{level} {name} {dict(event)}")
    raise structlog.DropEvent
