"""A desk on which one ledger after the other is opened."""

from __future__ import annotations

import pytest

from tests.actors.fakes import Desk


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("actors.patience.FIRST_RETRY_SECONDS", 0.0)
    return Desk()
