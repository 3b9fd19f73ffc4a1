"""How many clients the files allow that this process may open."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from indexer.app.files import Room, raise_limit, room_for_clients
from indexer.config import Settings, load

ONE_CHAIN = '[chains.one]\nchain_id = 1\nrpc_urls = ["http://127.0.0.1:1"]\n'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "chains.toml"
    path.write_text(ONE_CHAIN)
    return load(path, {})


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    soft, hard = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_many_files_are_room_for_all_clients_there_may_be(settings: Settings) -> None:
    with capture_logs() as logs:
        assert room_for_clients(settings, files=20_000) == Room(websockets=2_000, connections=3_000)
    assert logs == []


def test_few_files_leave_a_reserve_for_ourselves_and_room_for_requests_and_it_is_said(settings: Settings) -> None:
    with capture_logs() as logs:
        room = room_for_clients(settings, files=1_024)
    assert 400 < room.websockets < 2_000
    assert room.connections - room.websockets >= 100
    assert 1_024 - room.connections >= 150
    assert logs == [{"event": "few_files", "log_level": "warning", "files": 1_024, "websockets": room.websockets}]


def test_each_endpoint_takes_its_share_of_few_files(settings: Settings) -> None:
    (chain,) = settings.chains.values()
    more = replace(settings, chains={"one": replace(chain, rpc_urls=("http://127.0.0.1:1",) * 10)})
    assert room_for_clients(more, files=1_024).websockets < room_for_clients(settings, files=1_024).websockets


def test_far_too_few_files_leave_room_for_some(settings: Settings) -> None:
    room = room_for_clients(settings, files=64)
    assert 0 < room.websockets < room.connections
