"""A fact that nobody could be told fails before it is committed: after that it would stand in the stream for good."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from actors.accounts import ledger as ledger_module
from indexer.domain.accounts.amounts import Slot
from indexer.domain.accounts.events import account_fact_json
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


async def test_what_was_made_of_it_to_find_that_out_is_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made, handed = list[AssetUpdated](), list[tuple[Commit, Sequence[Mapping[str, Any]]]]()

    def counted(fact: AssetUpdated) -> dict[str, Any]:
        made.append(fact)
        return account_fact_json(fact)

    monkeypatch.setattr(ledger_module, "account_fact_json", counted)
    monkeypatch.setattr(ledger_module, "COMMIT_FACTS", 2)
    ledger = ledger_of(FakeLog(), [], prepare=lambda commit, said: handed.append((commit, said)))
    facts = [replace(GOOD, held=held(str(number))) for number in range(3)]
    await ledger.commit(facts)
    await asyncio.sleep(0)
    assert made == facts
    assert [(commit.facts, said) for commit, said in handed] == [
        (tuple(facts[:2]), [account_fact_json(fact) for fact in facts[:2]]),
        (tuple(facts[2:]), [account_fact_json(fact) for fact in facts[2:]]),
    ]
