"""The service as it is composed forgets where its file says so, and nowhere else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pykka
import pytest

from actors.janitor import Janitor
from indexer.app.service import Service
from indexer.config import ServiceSettings, Settings, StoreSettings
from indexer.domain.chain import Holding
from indexer.domain.recording.records import fold
from tests.repositories.samples import USDC, commit_at, solver_at

WALLET = Holding(USDC, solver_at(0))
SECONDS = 20


def settings(folder: Path, history_days: int) -> Settings:
    service = ServiceSettings(port=0, data_dir=folder)
    return Settings(service=service, store=StoreSettings(url="embedded", history_days=history_days))


async def blocks(service: Service) -> list[int]:
    return [row.block.number for row in await service.store.balances.history(1, WALLET, limit=99)]


@pytest.mark.mongo
async def test_a_start_with_history_days_forgets_what_is_older_and_one_without_keeps_all(tmp_path: Path) -> None:
    async with asyncio.timeout(SECONDS), Service(settings(tmp_path, history_days=0)) as service:
        await service.store.books.project(fold([commit_at(number, seq=number) for number in range(1, 5)]))
        assert pykka.ActorRegistry.get_by_class(Janitor) == []
        assert await blocks(service) == [4, 3, 2, 1]
    async with asyncio.timeout(SECONDS), Service(settings(tmp_path, history_days=1)) as service:
        (janitor,) = pykka.ActorRegistry.get_by_class(Janitor)
        await janitor.ask("has the first sweep been done?", block=False)
        assert await blocks(service) == [4]
    assert not janitor.is_alive()
