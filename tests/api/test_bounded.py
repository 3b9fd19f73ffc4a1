"""Who asks over HTTP is not kept waiting by a silent store; work that takes its time is waited for."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from indexer.api import bounded
from indexer.domain.recording.audits import Audit
from indexer.errors import Impossible
from tests.api.conftest import Serve, World, problem_of
from tests.clients.evm.builders import eventually


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "PATIENT_SECONDS", 0.05)


class Held:
    """Stands in the way of whoever comes, until it is opened."""

    def __init__(self, error: Exception | None = None) -> None:
        self.gate = asyncio.Event()
        self.error = error
        self.ended: list[str] = []

    async def caught_up(self) -> None:
        await self._wait()

    async def audit(self, count: int) -> Audit:
        await self._wait()
        return Audit(count, (), 0, 0)

    async def _wait(self) -> None:
        try:
            await self.gate.wait()
            if self.error is not None:
                raise self.error
        except asyncio.CancelledError:
            self.ended.append("cut")
            raise
        self.ended.append("done")


async def _silent() -> bool:
    return False


async def test_a_read_is_given_up_where_the_store_is_silent(serve: Serve, world: World) -> None:
    held = Held()
    world.freshness.caught_up = held.caught_up  # type: ignore[method-assign]
    client = await serve(store_answers=_silent)
    problem = await problem_of(await client.get("/api/v1/balances"), 503)
    assert problem["detail"] == "The store does not answer just now."
    await eventually(lambda: held.ended == ["cut"])


async def test_what_takes_its_time_is_waited_for_while_the_store_answers(serve: Serve, world: World) -> None:
    held, asked = Held(), 0
    world.freshness.caught_up = held.caught_up  # type: ignore[method-assign]

    async def answers() -> bool:
        nonlocal asked
        asked += 1
        if asked == 3:
            held.gate.set()
        return True

    client = await serve(store_answers=answers)
    assert (await client.get("/api/v1/balances")).status == 200
    assert asked == 3


@pytest.mark.parametrize("error", [None, Impossible("no")])
async def test_a_write_is_not_cut_and_its_end_is_logged(serve: Serve, world: World, error: Exception | None) -> None:
    held = Held(error)
    world.control.audit = held.audit  # type: ignore[method-assign]
    client = await serve(store_answers=_silent)
    response = await client.post("/api/v1/audit", json={})
    assert response.headers["Retry-After"] == "1"
    assert "may still be done" in (await problem_of(response, 503))["detail"]
    assert held.ended == []
    with capture_logs() as lines:
        held.gate.set()
        await eventually(lambda: lines)
    assert [line["event"] for line in lines] == ["request_done_late" if error is None else "request_failed_late"]
    assert lines[0]["path"] == "/api/v1/audit"


async def test_so_many_writes_wait_for_a_silent_store_and_no_more(
    serve: Serve, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MOST_LEFT", 2)
    held = Held()
    world.control.audit = held.audit  # type: ignore[method-assign]
    client = await serve(store_answers=_silent)
    answers = [await client.post("/api/v1/audit", json={}) for _ in range(3)]
    assert [answer.status for answer in answers] == [503] * 3
    assert "may still be done" not in (await problem_of(answers[2], 503))["detail"]
    await client.close()
    assert held.ended == ["cut", "cut"]


async def test_a_page_that_asks_nothing_of_the_store_is_not_bounded_by_it(serve: Serve) -> None:
    client = await serve(store_answers=_silent)
    for path in ("/health", "/openapi.json", "/api/v1/status"):
        assert (await client.get(path)).status == 200
