from __future__ import annotations

import gc
import subprocess
import sys
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


HOARDING = """
from pathlib import Path
from indexer.app.garbage import give_back_memory

def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])

give_back_memory()
bytearray(20 << 20)  # from here on glibc would keep what is smaller than this
before = pages()
held = [bytearray(4 << 20) for _ in range(8)]
stays = bytearray(2_000)
del held
print(pages() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator, and /proc, are Linux's")
def test_what_large_answers_took_is_given_back() -> None:
    told = subprocess.run([sys.executable, "-c", HOARDING], capture_output=True, text=True, check=True, timeout=60)
    assert int(told.stdout) < 2_000
