"""What signals mean to a service before its own handlers stand: imports alone take more than a second.

This module is imported before all others and imports next to nothing, since it means nothing until it is there.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

_SERVICES: Final = ("run", "demo")
_FOLLOWERS: Final = ("tail", "backfill", "audit")
"""Those that ask a service for long."""


def heed(command: str = "") -> None:
    """SIGTERM ends what lasts as Ctrl-C does; SIGHUP, which would end a service as well, does nothing there.

    No hang-up is lost: a service looks at its file once more as soon as it runs.
    """
    if command in _SERVICES:
        signal.signal(signal.SIGTERM, _leave)
        signal.signal(signal.SIGINT, _leave)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    elif command in _FOLLOWERS:
        with suppress(ValueError):  # within a program, off its main thread: signals are the program's own
            signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """At once: nothing was begun that would have to be ended, or the service has ended.

    With a KeyboardInterrupt, caught or not, Python kills itself with SIGINT in the end when it came in code that was
    made from text, as all dataclasses are: one of 15 stops within the imports was no clean exit. And whatever is raised
    in a finalizer or a callback is thrown away, and the service goes on: of 24 such stops, two.
    """
    os._exit(0)
