"""How soon what we hold is what is so, once the venue is honest again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from indexer.domain.accounts.amounts import AssetBalance, Slot, Wallet
from tests.sim.accounts.life import Life
from tests.sim.accounts.truth import Truth

STREAM_SECONDS: Final = 2.0
"""With a stream that says anything at all."""

POLL_SECONDS: Final = 5.5 + 0.75
"""Without one: the pause between two reads at its longest, the look at the clock, the answer."""

SLOW_POLL_SECONDS: Final = 120.0 + 0.75
"""A frame was lost without a sign of it, and nothing was told since."""

GONE_SECONDS: Final = 3.0
"""Some venues leave out what is zero: what is missing is asked for once more before it is believed to be gone."""

OLD_ANSWER_SECONDS: Final = 1.0
"""As the venue lies, and as slowly as it comes."""

EMPTIED_SECONDS: Final = 60.0
"""All that was in a wallet is gone at once, and no frame says so: that is asked six times before it is believed."""

_LOOK_SECONDS: Final = 0.1
_GRACE: Final = 0.05
"""Of our own looking."""


class Settling:
    """Watches from the last fault on. `late`: what took too long; `slowest`: by reason, the longest of the rest."""

    def __init__(
        self,
        truth: Truth,
        life: Callable[[], Life],
        held: Callable[[], Mapping[Slot, AssetBalance]],
        late_until: float = 0.0,
    ) -> None:
        self._truth = truth
        self._life = life
        self._held = held
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._late_until = late_until
        """Until then frames come that were held up: each of them is a fault that is not over."""
        self._waiting: dict[Wallet, tuple[str, float]] = {}
        self._broken_until = 0.0
        self._delayed: dict[Wallet, float] = {}
        self.late: list[str] = []
        self.slowest: dict[str, float] = {}

    async def settle(self) -> None:
        self._opened_before = dict(self._life().heard.opened)
        while True:
            now = self._clock()
            wrong: dict[Wallet, list[Slot]] = {}
            for slot in self._truth.differing(self._held(), parts=False):
                wrong.setdefault(slot.wallet, []).append(slot)
            for wallet in self._waiting.keys() - wrong.keys():
                self._note(self._waiting[wallet][0], now - self._began)
            self._waiting = {wallet: self._why(wallet, slots) for wallet, slots in wrong.items()}
            late = [wallet for wallet, (_, until) in self._waiting.items() if now > until + _GRACE]
            if late:
                self.late += [self._said(wallet, wrong[wallet]) for wallet in late]
                return
            if not wrong:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def rest(self) -> None:
        """After every wallet was read once more, what is free and used is right as well."""
        await asyncio.sleep(SLOW_POLL_SECONDS)
        wrong = sorted(self._truth.differing(self._held(), parts=True))
        if wrong:
            self.late.append(f"at rest: {', '.join(map(str, wrong))} in {sorted(self._held().items())}")

    def _why(self, wallet: Wallet, slots: list[Slot]) -> tuple[str, float]:
        """On what it depends that this wallet is right again, and until when."""
        life, began = self._life(), self._began
        breaker = None if life.status is None or life.status.account is None else life.status.account.breaker
        if breaker is not None:
            self._broken_until = max(self._broken_until, breaker.until)
        why, until = self._usually(life, wallet, slots)
        if self._broken_until > began:  # also once it is closed: by then nothing else was read for a while
            return "breaker", max(self._broken_until + 1.0, began + POLL_SECONDS, until)
        return why, until

    def _usually(self, life: Life, wallet: Wallet, slots: list[Slot]) -> tuple[str, float]:
        began = self._began
        opened = life.heard.opened.get(wallet)
        if not any(one.total or one.debt for one in self._truth.state.holdings(wallet).values()):
            return "emptied", began + SLOW_POLL_SECONDS + EMPTIED_SECONDS
        again = GONE_SECONDS if all(self._is_gone(slot) for slot in slots) else 0.0
        if opened is None or opened > began:
            return "gone" if again else "poll", self._polled_from(wallet) + POLL_SECONDS + again
        changed = min(self._truth.changed.get(slot, 0.0) for slot in slots)
        # The first answer of a life may be older than its stream: what lies between has no sign either.
        begun = opened if life.heard.lost_at > 0 else opened - OLD_ANSWER_SECONDS
        signs = (moment for moment in (begun, *life.heard.words.get(wallet, ())) if moment >= changed)
        first = min(signs, default=None)
        if first is not None:
            why = "gone" if again else "stream" if first <= began else "later sign"
            return why, max(began, first, self._late_until) + STREAM_SECONDS + again
        return "silence", began + SLOW_POLL_SECONDS + again

    def _is_gone(self, slot: Slot) -> bool:
        holding = self._truth.state.holdings(slot.wallet).get(slot.asset)
        return holding is None or not (holding.total or holding.debt)

    def _polled_from(self, wallet: Wallet) -> float:
        """What was asked before the last fault was over may be wrong; the pause to the next read begins at its end."""
        heard = self._life().heard
        if heard.reading.get(wallet, self._began) < self._began:
            return self._clock()
        asked, ended = heard.answered.get(wallet, (0.0, 0.0))
        if asked < self._began < ended:
            self._delayed[wallet] = ended
        # A stream that was trusted, and is lost only now, left it to the slow polls until then.
        return max(self._delayed.get(wallet, self._began), heard.lost_at)

    def _note(self, why: str, seconds: float) -> None:
        if why == "silence" and seconds <= STREAM_SECONDS:
            why = "stream"  # its frame was on its way
        self.slowest[why] = max(seconds, self.slowest.get(why, 0.0))

    def _said(self, wallet: Wallet, slots: list[Slot]) -> str:
        why, until = self._waiting[wallet]
        held, names = self._held(), ", ".join(slot.asset for slot in slots)
        told = [None if (one := held.get(slot)) is None else str(one.amounts.balance) for slot in slots]
        true = [str(self._truth.state.holdings(wallet)[slot.asset].total) for slot in slots]
        allowed = f"{why}, {until - self._began:.2f} s"
        return f"late ({allowed}): {wallet} {names} held {told}, is {true} at {self._clock():.2f}"
