"""What is told must stay: nothing is read that a majority does not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pymongo
import pytest

from repositories.documents.codec import commit_document
from repositories.store import Store, open_store
from tests.fixtures.mongo import SELDOM_JOURNALED, KillableMongod
from tests.repositories.samples import commit_at


@pytest.mark.mongo
async def test_reads_ask_for_what_a_majority_has_and_see_what_was_acknowledged(real_store: Store) -> None:
    """A primary that is being replaced still shows writes that the next one may not have."""
    database = real_store._database.motor
    assert (database.read_concern.level, database.write_concern.document["w"]) == ("majority", "majority")
    for seq in range(1, 20):
        await real_store.commits.append(commit_at(seq, seq=seq))
        assert await real_store.commits.last_seq("chain:1") == seq
        assert await real_store.commits.positions() == {"chain:1": seq}


@pytest.mark.mongo
async def test_the_end_of_the_log_that_a_lone_server_shows_outlives_its_kill(tmp_path: Path) -> None:
    """A service that was killed may leave a commit that waits for the journal: whoever follows tells it."""
    with KillableMongod(tmp_path, SELDOM_JOURNALED) as mongod:
        async with open_store(mongod.url, "indexer", tmp_path) as store:
            with pymongo.MongoClient[dict[str, Any]](mongod.url, w=1, journal=False) as client:
                client["indexer"]["commits"].insert_one(commit_document(commit_at(1, seq=1)))
            assert await store.commits.last_seq("chain:1") == 1
            mongod.kill()
            mongod.start()
            assert await store.commits.last_seq("chain:1") == 1
