from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from indexer.app.garbage import YOUNG_OBJECTS, spare_what_stays


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_what_exists_is_not_looked_through_again() -> None:
    kept = [[number] for number in range(1_000)]
    spare_what_stays()
    assert gc.get_freeze_count() > len(kept)
    assert not any(found is kept[0] for found in gc.get_objects())
    assert gc.get_threshold()[0] == YOUNG_OBJECTS
