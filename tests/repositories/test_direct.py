"""Inserts past the driver: the same document, as durable, and left to the driver whenever anything is odd."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bson
import pymongo
import pytest

from indexer.domain.chain import Holding
from indexer.domain.recording.records import fold
from indexer.errors import StoreUnavailable
from repositories import direct
from repositories.direct import MOST_LINES, DirectInserts, direct_inserts
from repositories.documents.codec import commit_document
from repositories.store import Store, open_store
from tests.fixtures.mongo import SELDOM_JOURNALED, KillableMongod, free_port
from tests.repositories.samples import USDC, commit_at, solver_at

OK = bson.encode({"n": 1, "ok": 1.0})
DOCUMENT = {"_id": "a"}

Answering = Callable[[bytes, asyncio.StreamWriter], None]


@pytest.fixture
async def lone_store(standalone_url: str, database_name: str, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(standalone_url, database_name, tmp_path) as store:
        yield store
    with pymongo.MongoClient[dict[str, Any]](standalone_url) as client:
        client.drop_database(database_name)


@pytest.mark.mongo
async def test_a_commit_is_written_without_the_driver_and_is_the_same_document(
    lone_store: Store, standalone_url: str, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lone_store.commits, "_commits", None)
    await lone_store.commits.append(commit_at(1, seq=1))
    await lone_store.commits.append_all([commit_at(2, seq=2), commit_at(3, seq=3)])
    with pymongo.MongoClient[dict[str, Any]](standalone_url, tz_aware=True) as client:
        found = list(client[database_name]["commits"].find().sort("firstSeq", 1))
        client[database_name]["by_driver"].insert_many([commit_document(commit_at(n, seq=n)) for n in (1, 2, 3)])
        assert [{**each, "time": None} for each in found] == [
            {**each, "time": None} for each in client[database_name]["by_driver"].find().sort("firstSeq", 1)
        ]


@pytest.mark.mongo
async def test_records_are_written_without_the_driver_unless_one_is_there_already(
    lone_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven: list[int] = []
    collection = type(lone_store.balances._records)
    insert_many = collection.insert_many

    def counted(self: Any, documents: Any, **more: Any) -> Any:
        driven.append(len(documents))
        return insert_many(self, documents, **more)

    monkeypatch.setattr(collection, "insert_many", counted)
    first, second = commit_at(1, seq=1, count=3), commit_at(2, seq=4, count=3)
    await lone_store.balances.project(fold([first]))
    assert not driven
    await lone_store.balances.project(fold([first, second]))  # as after a crash: half of it is there
    assert driven == [6]
    for solver in range(3):
        rows = await lone_store.balances.history(1, Holding(USDC, solver_at(solver)), limit=9)
        assert [(row.block.number, row.seq) for row in rows] == [(2, 4 + solver), (1, 1 + solver)]


@pytest.mark.mongo
async def test_what_was_acknowledged_outlives_the_servers_kill(tmp_path: Path) -> None:
    with KillableMongod(tmp_path, SELDOM_JOURNALED) as mongod:
        async with open_store(mongod.url, "indexer", tmp_path) as store:
            await store.commits.append(commit_at(1, seq=1))
            mongod.kill()
            with pytest.raises(StoreUnavailable):
                await asyncio.wait_for(store.commits.append(commit_at(2, seq=2)), 20)
            mongod.start()
            await store.commits.append(commit_at(2, seq=2))
            assert await store.commits.last_seq("chain:1") == 2


@pytest.mark.mongo
async def test_a_replica_set_is_left_to_the_driver_which_finds_the_primary(real_store: Store) -> None:
    assert real_store._database.direct is None


@pytest.mark.mongo
async def test_a_document_that_is_too_large_is_not_even_sent(lone_store: Store) -> None:
    inserts = lone_store._database.direct
    assert inserts is not None
    assert not await inserts.insert("commits", [{"_id": "large", "x": "y" * 17_000_000}])


@pytest.mark.parametrize(
    ("url", "is_direct"),
    [
        ("mongodb://127.0.0.1:27018/?directConnection=true", True),
        ("mongodb://localhost", True),
        ("mongodb://[::1]:27018/indexer", True),
        ("mongodb://user:secret@127.0.0.1:27018", False),
        ("mongodb://127.0.0.1:27018/?tls=true", False),
        ("mongodb://127.0.0.1:27018/?replicaSet=rs", False),
        ("mongodb://a:1,b:2", False),
        ("mongodb://%2Ftmp%2Fmongod.sock", False),
        ("mongodb+srv://cluster.example", False),
        ("mongodb://us er:@@127.0.0.1", False),
    ],
)
def test_only_a_plain_url_of_one_server_is_gone_to_directly(url: str, is_direct: bool) -> None:
    assert (direct_inserts(url, "indexer") is not None) == is_direct


async def test_one_connection_serves_one_insert_after_another() -> None:
    async with server(answer(OK)) as (inserts, seen):
        for _ in range(5):
            assert await inserts.insert("commits", [DOCUMENT])
    assert len(seen) == 1


@pytest.mark.parametrize(
    "reply",
    [
        {"n": 0, "writeErrors": [{"index": 0, "code": 11000}], "ok": 1.0},
        {"n": 1, "writeConcernError": {"code": 64}, "ok": 1.0},
        {"n": 2, "ok": 1.0},
        {"ok": 0.0, "code": 10107, "errmsg": "not primary"},
        {},
    ],
)
async def test_whatever_is_not_a_plain_yes_is_no(reply: dict[str, Any]) -> None:
    async with server(answer(bson.encode(reply))) as (inserts, _):
        assert not await inserts.insert("commits", [DOCUMENT])


def _hang_up(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize(
    "answering",
    [
        _hang_up,
        lambda _, writer: writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b" " * 100),
        lambda _, writer: writer.write(struct.pack("<iiii", 2**31 - 1, 1, 1, 2013)),
        lambda _, writer: writer.write(struct.pack("<iiiiIB", 30, 1, 1, 2013, 0, 0) + b"no bson.."),
        lambda request, writer: writer.write(message(OK, to=request_id(request) + 1)),
        lambda _, writer: writer.write(b"\x00"),
    ],
    ids=["hangs up", "speaks HTTP", "endless", "no document", "of another request", "one byte and silence"],
)
async def test_a_server_that_talks_nonsense_or_nothing_is_asked_on_a_new_connection_next_time(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "ANSWER_SECONDS", 0.2)
    async with server(answering) as (inserts, seen):
        assert not await inserts.insert("commits", [DOCUMENT])
        assert not await inserts.insert("commits", [DOCUMENT])
    assert len(seen) == 2


async def test_where_nobody_listens_it_is_no_at_once() -> None:
    assert not await DirectInserts("127.0.0.1", free_port(), "indexer").insert("commits", [DOCUMENT])


async def test_an_answer_may_come_in_pieces() -> None:
    def in_pieces(request: bytes, writer: asyncio.StreamWriter) -> None:
        whole = message(OK, to=request_id(request))
        for place in range(len(whole)):
            asyncio.get_running_loop().call_later(place * 0.001, writer.write, whole[place : place + 1])

    async with server(in_pieces) as (inserts, _):
        assert await inserts.insert("commits", [DOCUMENT])


async def test_who_gives_up_leaves_no_answer_behind_for_the_next() -> None:
    silent = [True]

    def answering(request: bytes, writer: asyncio.StreamWriter) -> None:
        if not silent[0]:
            answer(OK)(request, writer)

    async with server(answering) as (inserts, seen):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(inserts.insert("commits", [DOCUMENT]), 0.1)
        silent[0] = False
        assert await inserts.insert("commits", [DOCUMENT])
    assert len(seen) == 2


async def test_so_many_are_under_way_at_most_and_the_others_go_through_the_driver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(direct, "ANSWER_SECONDS", 0.3)
    async with server(lambda _request, _writer: None) as (inserts, seen):
        many = [asyncio.create_task(inserts.insert("commits", [DOCUMENT])) for _ in range(MOST_LINES + 3)]
        done, _ = await asyncio.wait(many, timeout=0.15)
        assert len(done) == 3
        assert not any([await one for one in many])
    assert len(seen) == MOST_LINES


async def test_nothing_is_asked_once_it_is_closed() -> None:
    async with server(answer(OK)) as (inserts, seen):
        assert await inserts.insert("commits", [DOCUMENT])
        inserts.close()
        assert not await inserts.insert("commits", [DOCUMENT])
    assert len(seen) == 1


def message(body: bytes, *, to: int) -> bytes:
    return struct.pack("<iiiiIB", 21 + len(body), 7, to, 2013, 0, 0) + body


def request_id(request: bytes) -> int:
    return int(struct.unpack_from("<i", request, 4)[0])


def answer(body: bytes) -> Answering:
    return lambda request, writer: writer.write(message(body, to=request_id(request)))


@asynccontextmanager
async def server(answering: Answering) -> AsyncIterator[tuple[DirectInserts, list[int]]]:
    """A server that answers each request so; and a number for each of its connections."""
    seen: list[int] = []
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(len(seen))
        serving.append(asyncio.current_task())
        try:
            while True:
                head = await reader.readexactly(4)
                answering(head + await reader.readexactly(struct.unpack("<i", head)[0] - 4), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    inserts = DirectInserts("127.0.0.1", listening.sockets[0].getsockname()[1], "indexer")
    try:
        yield inserts, seen
    finally:
        inserts.close()
        listening.close()
        await asyncio.wait_for(asyncio.gather(*(task for task in serving if task)), 20)
