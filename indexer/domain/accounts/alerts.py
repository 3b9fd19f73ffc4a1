"""Which alerts are on: each is told once when it begins and once when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from indexer.domain.accounts.amounts import AccountKey, Slot, Wallet
from indexer.domain.accounts.facts import AccountAlert, AlertKind, Severity
from indexer.domain.accounts.validation import Finding


class AlertKey(NamedTuple):
    """What an alert is about."""

    kind: AlertKind
    wallet: Wallet | None = None
    asset: str | None = None


class Raised(NamedTuple):
    """What was told when it began."""

    severity: Severity
    detail: str


On = Mapping[AlertKey, Raised]


def raised(on: On, key: AlertKey, what: Raised) -> On:
    """On from now; one that is on already stays as it was told, unless it got worse or better."""
    if key in on and on[key].severity == what.severity:
        return on
    return {**on, key: what}


def cleared(on: On, keys: Iterable[AlertKey]) -> On:
    gone = set(keys) & on.keys()
    return {key: what for key, what in on.items() if key not in gone} if gone else on


def judged(on: On, findings: Iterable[Finding], slots: Iterable[Slot]) -> On:
    """After these slots were judged: what was found of them is on, what was on and was not found again is over."""
    broken = {AlertKey(one.kind, *one.slot): Raised(one.severity, one.detail) for one in findings}
    looked_at = set(slots)
    over = [
        key
        for key in on
        if key not in broken and key.wallet is not None and key.asset is not None
        if Slot(key.wallet, key.asset) in looked_at
    ]
    on = cleared(on, over)
    for key, what in broken.items():
        on = raised(on, key, what)
    return on


def noted(on: On, alert: AccountAlert) -> On:
    """As it is once this was told."""
    key = AlertKey(alert.kind, alert.wallet, alert.asset)
    return cleared(on, (key,)) if alert.cleared else raised(on, key, Raised(alert.severity, alert.detail))


def told(account: AccountKey, before: On, after: On) -> tuple[AccountAlert, ...]:
    """What to tell of the difference."""
    begun = [(key, what, False) for key, what in after.items() if before.get(key) != what]
    over = [(key, what, True) for key, what in before.items() if key not in after]
    return tuple(
        AccountAlert(account, key.kind, what.severity, what.detail, key.wallet, key.asset, is_over)
        for key, what, is_over in (*over, *begun)
    )
