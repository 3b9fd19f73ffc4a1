"""How many clients the files allow that this process may open."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence

from structlog.testing import capture_logs

from indexer.app.files import Clients, Room, raise_limit
from indexer.config import ChainSettings

NODE = "http://127.0.0.1:1"


def chains(count: int, urls: int = 1) -> Mapping[str, ChainSettings]:
    return {f"{i}": ChainSettings(f"{i}", i, (NODE,) * urls) for i in range(count)}


def room(files: int, following: Mapping[str, ChainSettings], accounts: Sequence[object] = ()) -> Clients:
    return Room(files, chains=lambda: following, accounts=lambda: accounts).now()


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    soft, hard = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_many_files_are_room_for_all_clients_there_may_be() -> None:
    with capture_logs() as logs:
        assert room(20_000, chains(1)) == Clients(websockets=2_000, connections=3_000)
    assert logs == []


def test_few_files_leave_a_reserve_for_ourselves_and_room_for_requests_and_it_is_said_once() -> None:
    with capture_logs() as logs:
        few = Room(1_024, chains=lambda: chains(1), accounts=list)
        clients = few.now()
        assert few.now() == clients
    assert 400 < clients.websockets < 2_000
    assert clients.connections - clients.websockets >= 100
    assert 1_024 - clients.connections >= 150
    assert logs == [{"event": "few_files", "log_level": "warning", "files": 1_024, "websockets": clients.websockets}]


def test_each_endpoint_and_each_account_takes_its_share_of_few_files() -> None:
    assert room(1_024, chains(1, urls=10)).websockets < room(1_024, chains(1)).websockets
    assert room(1_024, chains(1), range(10)).websockets < room(1_024, chains(1)).websockets


def test_much_to_follow_leaves_half_of_an_ordinary_limit_to_clients() -> None:
    clients = room(1_024, chains(5, urls=5), range(40))
    assert clients.websockets >= 300
    assert clients.connections - clients.websockets >= 100
    assert clients.connections <= 512


def test_far_too_few_files_leave_room_for_some() -> None:
    clients = room(64, chains(1))
    assert 0 < clients.websockets < clients.connections <= 32


def test_what_is_followed_from_now_on_takes_its_share_and_gives_it_back() -> None:
    following, accounts = dict(chains(1)), list[object]()
    files = Room(1_024, chains=lambda: following, accounts=lambda: accounts)
    before = files.now().connections
    with capture_logs() as logs:
        accounts += [None] * 10
        assert files.now().connections == before - 40
        following |= chains(3)
        assert files.now().connections == before - 40 - 34
        accounts.clear()
        assert files.now().connections == before - 34
    assert [line["event"] for line in logs] == ["few_files", "few_files"]
