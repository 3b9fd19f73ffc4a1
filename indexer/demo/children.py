"""Child processes that do not outlive us, however hard we are ended."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
"""Loaded before the fork: between fork and exec nothing may be imported or allocated in earnest."""


def with_parent(order: signal.Signals) -> Callable[[], None] | None:
    """For `preexec_fn`: the kernel gives the child this order when the thread that started it has ended.

    Whoever starts one in a thread has to see to it that this thread stays.
    """
    return None if _LIBC is None else lambda: _LIBC.prctl(_PR_SET_PDEATHSIG, order)
