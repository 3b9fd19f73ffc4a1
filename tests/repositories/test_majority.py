"""What is told must stay: nothing is read that a majority does not have."""

from __future__ import annotations

import pytest

from repositories.store import Store
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
