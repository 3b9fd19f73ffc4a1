"""Opening a store: its schema, its epoch, and what goes wrong with servers."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import traceback
from pathlib import Path
from typing import Any

import pymongo
import pytest

from indexer.errors import Fenced, StoreUnavailable, StoreUnusable
from repositories.commits import CommitLog
from repositories.database import Database
from repositories.failures import masked
from repositories.schema import prepare
from repositories.store import Store, open_store
from tests.fixtures.mongo import free_port, running_mongod
from tests.repositories.samples import commit_at


async def test_it_says_what_it_is_and_answers(store: Store, store_url: str) -> None:
    assert store.kind == ("memory" if store_url == "memory" else "mongodb")
    assert re.fullmatch("[0-9a-f]{8}", store.epoch)
    await store.ping()


@pytest.mark.mongo
async def test_the_indexes_are_those_of_the_contract(real_store: Store) -> None:
    found = {
        name: {
            (tuple(index["key"]), index.get("unique", False))
            for index in (await real_store._database[name].index_information()).values()
        }
        for name in ("commits", "balance_records", "current_balances")
    }
    by_id = ((("_id", 1),), False)
    key = (("chainId", 1), ("tokenAddress", 1), ("solverAddress", 1))
    assert found == {
        "commits": {
            by_id,
            ((("stream", 1), ("firstSeq", 1)), True),
            ((("stream", 1), ("lastSeq", 1)), False),
            ((("stream", 1), ("checkpoint.number", 1)), False),
        },
        "balance_records": {
            by_id,
            ((*key, ("blockNumber", 1)), True),
            ((("timestamp", -1),), False),
            ((("blockNumber", -1),), False),
        },
        "current_balances": {by_id, (key, True)},
    }


@pytest.mark.mongo
async def test_queries_are_served_by_indexes(real_store: Store) -> None:
    database = real_store._database
    holding = {"chainId": 1, "tokenAddress": "t", "solverAddress": "s"}
    for name, query, order in (
        ("balance_records", holding, ("blockNumber", -1)),
        ("balance_records", {"blockNumber": 5, "blockHash": "0x", "chainId": 1}, ("blockNumber", 1)),
        ("commits", {"stream": "chain:1", "lastSeq": {"$gt": 5}}, ("lastSeq", 1)),
    ):
        plan = await database[name].find(query).sort(*order).explain()
        assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])
        assert "'SORT'" not in str(plan["queryPlanner"]["winningPlan"])


@pytest.mark.mongo
async def test_the_epoch_is_made_once_and_differs_between_stores(
    replica_set_url: str, database_name: str, tmp_path: Path
) -> None:
    epochs = []
    for name in (database_name, database_name, f"{database_name}_2"):
        async with open_store(replica_set_url, name, tmp_path) as store:
            epochs.append(store.epoch)
    with pymongo.MongoClient[dict[str, Any]](replica_set_url) as client:
        client.drop_database(database_name)
        client.drop_database(f"{database_name}_2")
    assert epochs[0] == epochs[1] != epochs[2]


async def test_a_newer_schema_is_refused_and_an_older_one_upgraded_step_by_step(store: Store) -> None:
    steps: list[int] = []

    async def first(_: Database) -> None:
        steps.append(1)

    async def second(_: Database) -> None:
        steps.append(2)

    database = store._database
    assert await prepare(database, 3, {1: first, 2: second}) == store.epoch
    assert await prepare(database, 3, {1: first, 2: second}) == store.epoch
    assert steps == [1, 2]
    with pytest.raises(StoreUnusable, match="schema version 3, written by a newer release; this one knows 1"):
        await prepare(database)


async def test_of_two_processes_on_one_stream_the_slower_is_fenced(store: Store) -> None:
    one, other = store.commits, CommitLog(store._database)
    await one.append(commit_at(5, seq=1, commit_id="one-1"))
    behind = await other.last_seq("chain:1")
    await one.append(commit_at(6, seq=2, count=3, commit_id="one-2"))
    with pytest.raises(Fenced):
        await other.append(commit_at(6, seq=behind + 1, count=3, commit_id="other-2"))
    assert await store.commits.last_seq("chain:1") == 4


async def test_a_server_that_does_not_answer_is_named_without_its_credentials(tmp_path: Path) -> None:
    url = f"mongodb://desk:s3cret@127.0.0.1:{free_port()}/?appName=s3cret"
    with pytest.raises(StoreUnavailable, match=r"mongodb://\*\*\*@127\.0\.0\.1:\d+.*does not answer") as caught:
        async with open_store(url, "indexer", tmp_path, timeout_seconds=0.3):
            pass
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ("tls=maybe", "tls"),
        ("appName=x&w=-1", "w"),
        ("authMechanism=s3cret", "authMechanism"),
        ("nosuch=1", "nosuch"),
        ("appName=@us@&tls=maybe", "tls"),
        ("datetime_conversion=x", "datetime_conversion"),
        ("retryWrites=true;tls=maybe", "tls"),
        ("replicaSet=a&w=1&replicaset=b", "replicaset"),
    ],
)
async def test_an_option_that_the_driver_would_leave_out_is_refused_by_its_name(
    tmp_path: Path, options: str, wrong: str
) -> None:
    """It would connect without TLS where `tls` is misspelt."""
    url = f"mongodb://127.0.0.1:1/?{options}"
    with pytest.raises(StoreUnusable, match=f"its option '{wrong}' is") as caught:
        async with open_store(url, "indexer", tmp_path, timeout_seconds=0.3):
            pass
    assert "s3c" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://desk:s3c/ret@127.0.0.1:1/",
        "mongodb://desk:s3c?ret&s3c@127.0.0.1:1/",
        "mongodb://desk:s3c@ret@h:1",
        "mongodb://h:s3cret",
        "mongodb://desk:p@ss?s3cret=x@127.0.0.1:1/",
        "mongodb://desk@127.0.0.1:1/?minPoolSize=3&maxPoolSize=2",
        "s3cret://",
        "mongodb+srv://cluster0.nosuch.invalid/",
    ],
)
async def test_a_url_that_cannot_work_is_refused_without_its_credentials(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreUnusable) as caught:
        async with open_store(url, "indexer", tmp_path, timeout_seconds=0.3):
            pass
    if "@" in url:
        assert "s3c" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.mongo
async def test_a_wrong_password_is_told_as_such(standalone_url: str, tmp_path: Path) -> None:
    url = standalone_url.replace("//", "//desk:s3cret@")
    with pytest.raises(StoreUnusable, match="check user, password and rights") as caught:
        async with open_store(url, "indexer", tmp_path):
            pass
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mongodb://h:1/", "mongodb://h:1/"),
        ("mongodb://u:p@h:1,h2/db?authSource=x", "mongodb://***@h:1,h2/db"),
        ("mongodb://u:p@ss/w@h:1", "mongodb://***@h:1"),
        ("u:p@h", "***"),
    ],
)
def test_a_url_is_shown_without_user_password_and_options(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.mongo
async def test_when_the_server_is_gone_every_call_says_so_within_a_bound(tmp_path: Path) -> None:
    with running_mongod() as url:
        async with open_store(url, "indexer", tmp_path, timeout_seconds=0.5) as store:
            await store.commits.append(commit_at(1, seq=1))
            with pymongo.MongoClient[dict[str, Any]](url) as client:
                pid = int(client.admin.command("serverStatus")["pid"])
            os.kill(pid, signal.SIGTERM)
            with pytest.raises(StoreUnavailable, match="the store"):
                await until_it_fails(store)
            for call in (store.ping(), store.commits.since("chain:1", 0, 1), store.checkpoints.set_projected("s", 1)):
                with pytest.raises(StoreUnavailable):
                    await call


@pytest.mark.mongo
async def test_a_closed_store_is_unavailable(replica_set_url: str, database_name: str, tmp_path: Path) -> None:
    async with open_store(replica_set_url, database_name, tmp_path) as store:
        pass
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.ping()
    with pymongo.MongoClient[dict[str, Any]](replica_set_url) as client:
        client.drop_database(database_name)


async def until_it_fails(store: Store) -> None:
    async with asyncio.timeout(20):
        while True:
            await store.commits.append(commit_at(1, seq=1))
