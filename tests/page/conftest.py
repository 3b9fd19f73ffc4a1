from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.page.chromium import Tab, browser, find_chromium, opened
from tests.page.service import FakeService, fake_service


@pytest.fixture
async def service() -> AsyncIterator[FakeService]:
    async with fake_service() as service:
        yield service


@pytest.fixture(scope="module")
def devtools() -> Iterator[str]:
    """Of one browser for all tests of a module: each has a tab, with storage of its own."""
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium or Chrome on PATH: `make setup` installs it where it can")
    with browser(program) as url:
        yield url


@pytest.fixture
async def tab(devtools: str) -> AsyncIterator[Tab]:
    async with opened(devtools) as tab:
        await tab.size(1280, 800)
        yield tab
