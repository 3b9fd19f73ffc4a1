from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.page.chromium import Tab, browser, find_chromium
from tests.page.service import FakeService, fake_service


@pytest.fixture
async def service() -> AsyncIterator[FakeService]:
    async with fake_service() as service:
        yield service


@pytest.fixture
async def tab() -> AsyncIterator[Tab]:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium or Chrome on PATH: `make setup` installs it where it can")
    async with browser(program) as socket:
        tab = Tab(socket)
        await tab.attach()
        await tab.size(1280, 800)
        yield tab
        await tab.close()
