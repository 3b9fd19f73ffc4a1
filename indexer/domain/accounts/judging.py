"""Between what a venue says and what is told: what fails a rule with `error` is kept out, the rest becomes facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import NamedTuple

from indexer.domain.accounts.amounts import AccountKey, AssetBalance, Slot
from indexer.domain.accounts.changes import ChangeThreshold
from indexer.domain.accounts.facts import AccountCause, AssetChanged, AssetUpdated
from indexer.domain.accounts.state import Merged, WalletState
from indexer.domain.accounts.validation import Exceptions, Finding, Thresholds, findings, is_refused


@dataclass(frozen=True, slots=True)
class Rules:
    """What is believed of one account, and which of its changes are worth telling twice."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    exceptions: Exceptions = field(default_factory=Exceptions)
    change: ChangeThreshold = field(default_factory=ChangeThreshold)


class Verdict(NamedTuple):
    """The state without what was refused, what is told of the rest, and every rule that was broken on the way."""

    state: WalletState
    facts: tuple[AssetUpdated | AssetChanged, ...]
    findings: tuple[Finding, ...]
    judged: tuple[Slot, ...]


def judge(
    account: AccountKey,
    merged: Merged,
    before: WalletState,
    rules: Rules,
    baselines: Mapping[Slot, Decimal],
    now: float,
    cause: AccountCause | None = None,
) -> Verdict:
    """`before` is what was believed and told; `baselines` are the balances from which changes are measured.

    `now` is of the monotonic clock of what arrives: a time of day that is set makes nothing older.
    Looked at is what was said of, also where it is as it was: a rule that is not broken any more is noticed as well.
    What was not, or is not believed, stays as it was judged before.
    """
    known = dict(merged.state.known)
    said = {asset: one for asset, one in merged.state.known.items() if one is not before.known.get(asset)}
    changed = {held.slot.asset for held in merged.changed}
    facts: list[AssetUpdated | AssetChanged] = []
    broken: list[Finding] = []
    for asset, one in said.items():
        held, earlier = one.held, before.known.get(asset)
        previous = None if earlier is None else earlier.held.amounts
        found = findings(held, previous, rules.thresholds, rules.exceptions, now - one.seen)
        broken += found
        if asset not in changed:
            continue
        if not is_refused(found):
            facts += _told(account, held, earlier.held if earlier else None, rules, baselines, cause)
        elif earlier is None:
            del known[asset]
        else:
            known[asset] = earlier
    broken += [
        Finding("empty_answer", "error", "the venue names it without its amount", slot) for slot in merged.unsaid
    ]
    judged = tuple(one.held.slot for one in said.values())
    return Verdict(replace(merged.state, known=known), tuple(facts), tuple(broken), judged)


def _told(
    account: AccountKey,
    held: AssetBalance,
    before: AssetBalance | None,
    rules: Rules,
    baselines: Mapping[Slot, Decimal],
    cause: AccountCause | None,
) -> list[AssetUpdated | AssetChanged]:
    # A change of measure is no change of the balance: only like is compared with like.
    previous = before.amounts if before is not None and before.measure == held.measure else None
    updated = AssetUpdated(account, held, previous, "first" if previous is None else cause or held.source)
    baseline, balance = baselines.get(held.slot), held.amounts.balance
    if previous is None or baseline is None or balance is None or not rules.change.is_passed(baseline, balance):
        return [updated]
    return [updated, AssetChanged(account, held.slot, baseline, balance)]
