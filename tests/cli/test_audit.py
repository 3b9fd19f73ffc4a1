"""`audit` exits with 1 when any record differs, or when nothing could be read."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Service, balance

Capture = pytest.CaptureFixture[str]


async def test_a_clean_audit_says_so(service: Service, capsys: Capture) -> None:
    assert await service.run("audit", "--count", "7") == 0
    assert capsys.readouterr().out == "7 records read again at their blocks: none differ\n"
    assert service.audits == [{"count": 7}]


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
