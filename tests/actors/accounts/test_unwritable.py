"""A fact that nobody could be told fails before it is committed: after that it would stand in the stream for good."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from indexer.domain.accounts.amounts import Slot
from indexer.domain.accounts.facts import AssetUpdated
from indexer.domain.telling.commits import Commit
from indexer.errors import EventUnwritable
from tests.actors.accounts.fakes import ACCOUNT
from tests.actors.accounts.test_parting import ledger_of
from tests.actors.fakes import FakeLog
from tests.domain.accounts.builders import held

GOOD = AssetUpdated(ACCOUNT, held("5"), None, "first")
NEVER = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
"""In UTC it is before all time."""
UNWRITABLE = AssetUpdated(ACCOUNT, replace(held("7", Slot("spot", "BTC")), venue_time=NEVER), None, "first")


async def test_what_cannot_be_told_is_not_committed_and_the_next_commit_has_its_number() -> None:
    log, told = FakeLog(), list[Commit]()
    ledger = ledger_of(log, told)
    with pytest.raises(EventUnwritable, match="AssetUpdated"):
        await ledger.commit([GOOD, UNWRITABLE])
    assert (ledger.seq, ledger.held, told, log.commits) == (0, {}, [], [])
    await ledger.commit([GOOD])
    assert [commit.first_seq for commit in told] == [1]
