"""What keeps a chain from being live, since when, and when to try again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from indexer.domain.health.status import STALE_SECONDS, StreamState
from indexer.errors import Fenced, StateMissing, Transient, WrongChain

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 5.0
LONGEST_WAIT_TO_BEGIN_SECONDS = 1.0
"""The client waits for its endpoints by itself meanwhile; this only lets go of the inbox."""


class Health:
    """Silence (`lost`), an answer that is overdue (`slow`), trouble that is retried, or the end (`halted`)."""

    def __init__(self, chain: str, jitter: Callable[[], float]) -> None:
        self.lost: str | None = None
        self.slow: str | None = None
        self.halted: StreamState | None = None
        self.waits = 0
        """How often in a row a head that was announced was asked for."""
        self._error: str | None = None
        self._log = log.bind(chain=chain)
        self._jitter = jitter
        self._clock = asyncio.get_running_loop().time
        self._since: float | None = None
        self._logged = False
        self._failures = 0

    @property
    def reason(self) -> str | None:
        return self.lost or self.slow or self._error

    @property
    def is_well(self) -> bool:
        return self.halted is None and self.lost is None and self.slow is None and self._since is None

    @property
    def is_lasting(self) -> bool:
        return self._since is not None and self._clock() - self._since > STALE_SECONDS

    def state(self, *, began: bool, behind: bool, told_stale: bool) -> StreamState:
        """`told_stale`: clients were told so, by an earlier life perhaps."""
        if self.halted is not None:
            return self.halted
        if not began:
            return "stale" if told_stale else "starting"
        if self.lost is not None or self.slow is not None or self.is_lasting:
            return "stale"
        return "catching_up" if behind else "live"

    def trouble(self, error: Transient | StateMissing, *, began: bool, asked_at: float) -> float:
        """Logged once when it lasts, and at once when it keeps us from starting; how long to wait before another try.

        An answer that was overdue before it failed is trouble since it was asked for.
        """
        since = self._clock() if self.slow is None else asked_at
        self._error, self.slow = repr(error), None
        self._since = since if self._since is None else self._since
        if not self._logged and (self.is_lasting or not began):
            self._logged = True
            self._log.warning("chain_troubled", error=repr(error))
        self._failures += 1
        longest = LONGEST_RETRY_SECONDS if began else LONGEST_WAIT_TO_BEGIN_SECONDS
        pause = min(longest, FIRST_RETRY_SECONDS * 2.0 ** min(self._failures - 1, 10))
        return pause * (0.5 + self._jitter() / 2)

    def wait(self) -> float:
        """No trouble: how long until it is asked for again."""
        self.waits += 1
        return min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(self.waits - 1, 10))

    def suspend(self, error: WrongChain) -> None:
        if self.halted is None and self._error != str(error):
            self._log.error("chain_suspended", reason=str(error))
        self.halted, self._error = "suspended", str(error)

    def step_down(self, error: Fenced) -> None:
        """Another process writes this stream: it goes on, we don't, and nobody restarts us."""
        self.halted, self._error = "stopped", str(error)
        self._log.error("chain_stepped_down", reason=str(error))

    def well(self, *, began: bool) -> None:
        if self._logged and began:
            self._logged = False
            self._log.info("chain_well")
        if self.halted is None:
            self._since, self._error, self._failures = None, None, 0
