"""`backfill`: watches what it ordered until all of it is through, and says so where nobody knows of it any more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from indexer.cli import backfill
from indexer.cli.client import AskError


class Told:
    """Lists of jobs, one after the other; the last one stays."""

    def __init__(self, *lists: Sequence[dict[str, Any]]) -> None:
        self._lists = list(lists)

    async def items(self, path: str) -> AsyncIterator[dict[str, Any]]:
        assert path == "/backfill"
        for job in self._lists.pop(0) if len(self._lists) > 1 else self._lists[0]:
            yield job


def job(identifier: str, state: str) -> dict[str, Any]:
    return {"id": identifier, "chainId": 1, "state": state, "records": 3, "progress": 0.5}


async def watched(told: Told, *ids: str) -> list[dict[str, Any]]:
    return await backfill._watched(told, list(ids), shown=False)  # type: ignore[arg-type]  # the part that is used


async def test_it_watches_until_its_own_jobs_are_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "LOOK_SECONDS", 0.0)
    other = job("c", "filling")
    told = Told([job("a", "filling"), job("b", "done"), other], [job("a", "done"), job("b", "done"), other])
    assert [one["state"] for one in await watched(told, "a", "b")] == ["done", "done"]


async def test_a_job_that_is_not_known_any_more_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "LOOK_SECONDS", 0.0)
    told = Told([job("a", "filling"), job("b", "filling")], [job("a", "filling")])
    with pytest.raises(AskError, match=r"^b: not known any more"):
        await watched(told, "a", "b")
