"""The numbers of one key's requests, where a venue takes only those that grow."""

from __future__ import annotations


class Nonces:
    """Each is greater than the last, whichever instance asks, and whatever the clock is set to meanwhile.

    ccxt counts per instance: what a stream's had sent was greater than all that a read's would send for as long as the
    clock had been set back, which is what a refused number leads to.
    """

    def __init__(self) -> None:
        self._last = 0

    def after(self, now: int) -> int:
        """Now, as long as that is greater."""
        self._last = max(now, self._last + 1)
        return self._last
