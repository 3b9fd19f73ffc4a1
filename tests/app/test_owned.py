"""What the service does beside its actors cannot end unheard."""

from __future__ import annotations

import asyncio

import pytest
import structlog.testing

from indexer.app import service as parts
from indexer.config.settings import Settings, StoreSettings


async def test_a_task_that_ends_by_mistake_ends_the_service_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    async def mistaken(*_: object, **__: object) -> None:
        raise ValueError("a mistake")

    monkeypatch.setattr(parts, "watched", mistaken)
    with structlog.testing.capture_logs() as logs:
        async with parts.Service(Settings(store=StoreSettings(url="memory")), serve=False) as service:
            assert await asyncio.wait_for(service.finished(), 20) == 1
    (told,) = [one for one in logs if one["event"] == "service_gives_up"]
    assert (told["actor"], told["error"]) == ("store watch", "ValueError('a mistake')")


async def test_tasks_that_are_ended_with_the_service_are_no_mistake() -> None:
    with structlog.testing.capture_logs() as logs:
        async with parts.Service(Settings(store=StoreSettings(url="memory")), serve=False) as service:
            await asyncio.sleep(0)
    assert [one for one in logs if one["log_level"] in ("error", "critical")] == []
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(service.finished(), 0.05)
