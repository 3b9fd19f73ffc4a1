"""The last word on an account that nobody follows: who only listens must not take its silence for standstill."""

from __future__ import annotations

import structlog

from actors.accounts.ledger import AccountLedger
from indexer.domain.accounts import alerts
from indexer.domain.accounts.alerts import AlertKey, Raised
from indexer.domain.accounts.facts import AccountFact, AccountStale

log = structlog.get_logger(__name__)


async def tell_parting(ledger: AccountLedger, reason: str) -> None:
    """Told as stale and as an alert, unless it was told before; whoever follows it again tells that it is over."""
    try:
        await ledger.load()
    except Exception:  # what is stored of it may be why it cannot be followed: then it is told once a start
        log.exception("account_unreadable", exchange=ledger.account.exchange, account=ledger.account.name)
    on = alerts.raised(ledger.alerts, AlertKey("not_followed"), Raised("error", reason))
    facts: list[AccountFact] = [*alerts.told(ledger.account, ledger.alerts, on)]
    if not ledger.is_stale:
        facts.append(AccountStale(ledger.account, reason))
    if facts:
        await ledger.commit(facts)
