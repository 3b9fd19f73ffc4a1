"""What an account's actor believes of what it hears, and the facts that wait to be committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from actors.accounts.ledger import AccountLedger
from indexer.domain.accounts import alerts
from indexer.domain.accounts.alerts import AlertKey, Raised
from indexer.domain.accounts.amounts import Slot, Wallet
from indexer.domain.accounts.arrivals import Funding, Moved, PositionsSeen, Snapshot, Updated
from indexer.domain.accounts.changes import measured_from
from indexer.domain.accounts.facts import (
    AccountCause,
    AccountFact,
    AccountLive,
    AccountStale,
    AssetChanged,
    AssetUpdated,
    FundingPaid,
    PositionUpdated,
    Severity,
)
from indexer.domain.accounts.judging import Rules, judge
from indexer.domain.accounts.merging import merge
from indexer.domain.accounts.positions import MergedPositions, PositionsState, merge_positions, restored_positions
from indexer.domain.accounts.state import Merged, WalletState, restored
from indexer.domain.accounts.validation import inconsistency

BATCH_FACTS = 500
"""So many facts of frames that came in a burst go into one commit; it costs about twice as much as one of a single."""

OVER_SECONDS = 5.0
"""Within so long it is told that a wallet is not old any more."""


class Counts(Protocol):
    """What is counted while telling."""

    def refused(self, rule: str) -> None: ...

    def committed(self, *, records: int, events: int) -> None: ...


class Teller:
    """Merges, judges and collects; `flush` commits all of it at once."""

    def __init__(
        self,
        ledger: AccountLedger,
        wallets: tuple[Wallet, ...],
        rules: Rules,
        counts: Counts,
        now: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._now = now
        self._rules = rules
        self._counts = counts
        self._states: dict[Wallet, WalletState] = {wallet: WalletState() for wallet in wallets}
        self._anew: set[Wallet] = set()
        """Wallets that nobody followed right before."""
        self._untold: set[Slot] = set()
        """What is stored of them: told once, also where it is as it was."""
        self._positions = PositionsState()
        self._baselines: dict[Slot, Decimal] = {}
        self._alerts: alerts.On = {}
        self._pending: list[AccountFact] = []
        self.drifted: tuple[Slot, ...] = ()
        """What the newest snapshot found to differ by more than venues round, though nothing had told so."""
        self.is_unsure = False
        """Whether the newest snapshot may be older than what is known."""
        self.quarantined: str | None = None
        """Why nothing of the newest snapshot is believed, so that it is no answer."""

    def begin(self) -> None:
        """Go on with what the ledger loaded."""
        now, moment = self._now(), asyncio.get_running_loop().time()
        for wallet in self._states:
            held = {slot.asset: one for slot, one in self._ledger.held.items() if slot.wallet == wallet}
            ages = {asset: max(0.0, (now - one.received).total_seconds()) for asset, one in held.items()}
            self._states[wallet] = restored(held, {asset: moment - age for asset, age in ages.items()})
        stored, followed = self._ledger.held.items(), self._ledger.followed
        self._anew = set(self._states) - (followed or set())
        if followed is not None:
            self._untold = {slot for slot, one in stored if slot.wallet in self._anew and one.amounts.is_something}
        self._positions = restored_positions(self._ledger.positions)
        self._alerts = self._ledger.alerts
        self.over(*(key for key in self._alerts if key.wallet is not None and key.wallet not in self._states))
        balances = {slot: one.amounts.balance for slot, one in self._ledger.held.items()}
        known = {slot: balance for slot, balance in balances.items() if balance is not None}
        self._baselines = {**known, **self._ledger.baselines}

    def last_heard(self) -> dict[Wallet, float]:
        """When the newest word on each wallet came, also in an earlier life."""
        return {
            wallet: max(one.seen for one in state.known.values())
            for wallet, state in self._states.items()
            if state.known
        }

    @property
    def kept_out(self) -> Mapping[Slot, str]:
        """Of what the newest word was not believed, and why."""
        return {
            Slot(key.wallet, key.asset): what.detail
            for key, what in self._alerts.items()
            if key.wallet is not None and key.asset is not None and what.severity == "error"
        }

    @property
    def is_full(self) -> bool:
        return len(self._pending) >= BATCH_FACTS

    def is_complete(self, unsupported: Collection[Wallet]) -> bool:
        """Whether every wallet that can be read was read, and all of it is told."""
        return not self._pending and all(
            state.is_based for wallet, state in self._states.items() if wallet not in unsupported
        )

    async def flush(self) -> None:
        facts, self._pending = self._pending, []
        if facts:
            await self._ledger.commit(facts)
            self._counts.committed(records=sum(isinstance(fact, AssetUpdated) for fact in facts), events=len(facts))
        if self._anew:
            await self._note_followed()

    async def _note_followed(self) -> None:
        untold = {slot.wallet for slot in self._untold}
        told = {wallet for wallet in self._anew if self._states[wallet].is_based and wallet not in untold}
        if told:
            await self._ledger.follow(told)
            self._anew -= told

    # --- balances ----------------------------------------------------------------------------------------------------

    def merge(self, arrival: Snapshot | Updated | Moved, wallet: Wallet, cause: AccountCause | None) -> str | None:
        """Take it over as far as it is believed; why the wallet should be asked (again), if so."""
        before = self._states.get(wallet)
        if before is None:
            return None
        merged = self._with_untold(merge(before, arrival), arrival)
        now = asyncio.get_running_loop().time()
        verdict = judge(self._ledger.account, merged, before, self._rules, self._baselines, now, cause)
        self._states[wallet] = verdict.state
        self.is_unsure = merged.unsure
        self.quarantined = merged.doubt if merged.quarantined else None
        self.drifted = tuple(slot for slot in merged.drifted if self._differs(slot, before, verdict.state))
        for finding in verdict.findings:
            if finding.severity == "error":
                self._counts.refused(finding.kind)
        self._baselines.update(_baselines(verdict.facts, self._baselines))
        self._pending += verdict.facts
        self._untold -= {fact.slot for fact in verdict.facts}
        on = alerts.judged(self._alerts, verdict.findings, verdict.judged)
        if isinstance(arrival, Snapshot):
            if merged.state.asked == arrival.asked and not merged.quarantined:
                on = alerts.cleared(on, tuple(self._gone(arrival)))
            doubt = AlertKey("empty_answer", wallet)
            if merged.doubt is None:
                on = alerts.cleared(on, (doubt,))
            elif before.known:  # a wallet in which nothing was ever seen is most likely empty
                on = alerts.raised(on, doubt, Raised("warning", merged.doubt))
        self._change_alerts(on)
        return merged.ask

    def _gone(self, snapshot: Snapshot) -> Iterator[AlertKey]:
        """What was wrong with assets that were never believed, and that are not on a list that names all there are."""
        known = self._states[snapshot.wallet].known
        for key in self._alerts if snapshot.complete else ():
            is_of_it = key.wallet == snapshot.wallet and key.asset is not None
            if is_of_it and key.asset not in known and key.asset not in snapshot.amounts:
                yield key

    def _with_untold(self, merged: Merged, arrival: Snapshot | Updated | Moved) -> Merged:
        """Whoever began to listen while nobody followed the wallet knows of nothing in it."""
        if not self._untold or not isinstance(arrival, Snapshot):
            return merged
        known, changed = merged.state.known, {held.slot for held in merged.changed}
        again = (
            known[asset].held
            for asset, amounts in arrival.amounts.items()
            if asset in known and known[asset].held.amounts == amounts
        )
        more = tuple(held for held in again if held.slot in self._untold and held.slot not in changed)
        return replace(merged, changed=(*merged.changed, *more)) if more else merged

    def _differs(self, slot: Slot, before: WalletState, after: WalletState) -> bool:
        told, found = before.known.get(slot.asset), after.known.get(slot.asset)
        if told is None or found is None:
            return True
        return inconsistency(told.held, found.held, self._rules.thresholds) is not None

    def look_for_stale(self) -> float:
        """A wallet of which nothing was heard or read for long, though it was known; seconds until the next look."""
        on = self._alerts
        now, limit = asyncio.get_running_loop().time(), self._rules.thresholds.stale_seconds
        wait = limit
        for wallet, state in self._states.items():
            newest = max((one.seen for one in state.known.values()), default=now)
            key = AlertKey("stale_data", wallet)
            age = now - newest
            if age > limit:
                severity = self._rules.thresholds.severities.get("stale_data", "warning")
                on = alerts.raised(on, key, Raised(severity, f"the newest word is {limit:.0f} s old"))
                wait = min(wait, OVER_SECONDS)
            else:
                on = alerts.cleared(on, (key,))
                wait = min(wait, limit - age)
        self._change_alerts(on)
        return wait

    # --- the rest ----------------------------------------------------------------------------------------------------

    def see_positions(self, seen: PositionsSeen) -> MergedPositions:
        """Take them over as far as they are believed."""
        merged = merge_positions(self._positions, seen)
        self._positions = merged.state
        self._pending += [PositionUpdated(self._ledger.account, each, seen.time) for each in merged.changed]
        return merged

    def see_fundings(self, fundings: tuple[Funding, ...]) -> None:
        """Oldest first, each once: the venue answers with the newest known ones again."""
        waiting = {fact.funding.id for fact in self._pending if isinstance(fact, FundingPaid)}
        for one in sorted(fundings, key=lambda each: (each.time, each.id)):
            if one.id not in waiting and self._ledger.funded.is_new(one):
                waiting.add(one.id)
                self._pending.append(FundingPaid(self._ledger.account, one))

    def not_told(self, slot: Slot) -> None:
        """A read found that it changed, and the stream said nothing."""
        severity = self._rules.thresholds.severities.get("source_inconsistency", "warning")
        self.alert(AlertKey("source_inconsistency", *slot), severity, "the stream did not tell it")

    def alert(self, key: AlertKey, severity: Severity, detail: str) -> None:
        self._change_alerts(alerts.raised(self._alerts, key, Raised(severity, detail)))

    def over(self, *keys: AlertKey) -> None:
        self._change_alerts(alerts.cleared(self._alerts, keys))

    def stale(self, reason: str) -> None:
        self._pending.append(AccountStale(self._ledger.account, reason))

    def live(self, reason: str) -> None:
        self._pending.append(AccountLive(self._ledger.account, reason))

    def _change_alerts(self, on: alerts.On) -> None:
        if on is not self._alerts:
            self._pending += alerts.told(self._ledger.account, self._alerts, on)
            self._alerts = on


def _baselines(facts: tuple[AssetUpdated | AssetChanged, ...], known: Mapping[Slot, Decimal]) -> dict[Slot, Decimal]:
    """From what the next changes are measured: what was told as changed, and at the beginning what there was."""
    baselines = {}
    for fact in facts:
        balance = measured_from(fact)
        if balance is None and isinstance(fact, AssetUpdated) and fact.slot not in known:
            balance = fact.held.amounts.balance
        if balance is not None:
            baselines[fact.slot] = balance
    return baselines
