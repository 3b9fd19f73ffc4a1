"""`audit` exits with 1 when any record differs, or when nothing could be read."""

from __future__ import annotations

import json

import pytest

from indexer.cli import audit
from tests.cli.conftest import Service, balance

Capture = pytest.CaptureFixture[str]


async def test_a_clean_audit_says_so(service: Service, capsys: Capture) -> None:
    assert await service.run("audit", "--count", "7") == 0
    assert capsys.readouterr().out == "7 records read again at their blocks: 0 differ\n"
    assert service.audits == [{"count": 7}]


@pytest.mark.parametrize(("count", "told"), [(0, "0 differ"), (1, "1 differs"), (2, "2 differ")])
async def test_how_many_differ_is_a_number_in_any_case(
    service: Service, capsys: Capture, count: int, told: str
) -> None:
    service.audited |= {"differing": [balance(stored="5", read="7")] * count}
    assert await service.run("audit") == min(count, 1)
    assert capsys.readouterr().out.splitlines()[0] == f"7 records read again at their blocks: {told}"


async def test_differences_are_shown_and_end_with_one(service: Service, capsys: Capture) -> None:
    differing = [balance(stored="5", read="7"), balance(stored="9", read=None)]
    service.audited |= {"differing": differing, "unreadable": 2, "skipped": 1}
    assert await service.run("audit") == 1
    told = capsys.readouterr().out
    assert "7 records read again at their blocks: 2 differ" in told
    assert "2 could not be read" in told
    assert "1 are derived" in told
    assert "the block is orphaned" in told
    assert service.audits == [{"count": 100}]
    assert await service.run("audit", "--json") == 1
    assert json.loads(capsys.readouterr().out) == service.audited


async def test_nothing_read_is_no_clean_audit(service: Service) -> None:
    service.audited |= {"checked": 0, "unreadable": 3}
    assert await service.run("audit") == 1


MUTE = {"chainId": 7, "name": "mute", "endpoint": "node:8545", "records": 3}


async def test_a_chain_without_an_answer_ends_with_one_and_is_named(service: Service, capsys: Capture) -> None:
    service.audited |= {"checked": 5, "unreadable": 3, "unanswered": [MUTE | {"reason": "no answer"}]}
    assert await service.run("audit", "--json") == 1
    told = capsys.readouterr()
    assert told.err == "indexer: chain 7 (mute) at node:8545: 3 records were not read: no answer\n"
    assert json.loads(told.out) == service.audited


@pytest.mark.parametrize(
    ("waits", "said"),
    [
        (
            {"running": True, "waiting": [MUTE | {"seconds": 3.2}, MUTE | {"chainId": 8, "seconds": 0.0}]},
            "indexer: waiting for chain 7 (mute) at node:8545: no answer for 3 s, 3 records are left\n",
        ),
        ({"running": True, "waiting": []}, "indexer: waiting for the service's store\n"),
        (None, ""),
    ],
    ids=["a node", "the store", "an older service"],
)
async def test_what_keeps_it_waiting_is_said_once(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch, waits: dict[str, object] | None, said: str
) -> None:
    monkeypatch.setattr(audit, "LOOK_SECONDS", 0.5)
    service.audit_waits = waits
    service.audit_gate.clear()
    assert await service.run("audit") == 0
    assert service.audit_looks == 2
    told = capsys.readouterr()
    assert told.err == said
    assert told.out == "7 records read again at their blocks: 0 differ\n"
