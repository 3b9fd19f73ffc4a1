"""What signals mean to a service before its own handlers stand: imports alone take more than a second."""

from __future__ import annotations

import signal
from typing import Final

_SERVICES: Final = ("run", "demo")


def heed(command: str) -> None:
    """SIGTERM ends a service that starts as Ctrl-C does; SIGHUP, which would end it as well, does nothing.

    No hang-up is lost: a service looks at its file once more as soon as it runs.
    """
    if command in _SERVICES:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
