from __future__ import annotations

from pathlib import Path

import pytest

from indexer.app import Service
from indexer.config import ServiceSettings, Settings, StoreSettings
from indexer.config.settings import ApiKey
from indexer.masking import Secret
from tests.demo.process import shown
from tests.page.chromium import Tab

pytestmark = [pytest.mark.page, pytest.mark.e2e, pytest.mark.node, pytest.mark.mongo]


async def test_the_demos_balances_move_on_the_page(tab: Tab, tmp_path: Path) -> None:
    async with shown(tmp_path) as demo:
        url = (await demo.says("Open http")).split("Open ")[1]
        await tab.open(url)
        await tab.until("document.querySelector('#connection')?.dataset.state === 'live'")
        assert await tab.until("document.querySelectorAll('#streams li[data-state=live]').length === 4")
        # Five solvers, two chains, the native coin and a token on each; and what two exchange accounts hold.
        assert await tab.until("document.querySelectorAll('#balances tbody tr:not(.solver)').length > 26")
        assert await tab.until("document.querySelectorAll('#balances [data-flashed]').length >= 4", seconds=30)
        text = await tab.text("main")
        assert all(
            word in text
            for word in (
                "aurora",
                "equinox",
                "ETH",
                "POL",
                "DUSD",
                "DGLD",
                "fast",
                "slow",
                "binance / main",
                "okx / hedge",
                "spot",
                "USDT",
            )
        )
        assert tab.complaints == []


async def test_the_page_takes_a_key_where_the_service_wants_one(tab: Tab, tmp_path: Path) -> None:
    own = ServiceSettings(port=0, data_dir=tmp_path, api_keys=(ApiKey("desk", Secret("s3cret")),))
    async with Service(Settings(service=own, store=StoreSettings(url="memory"))) as service:
        assert service.url is not None
        await tab.open(service.url)
        for key in ("wrong", "s3cret"):
            await tab.until("document.querySelector('#login')?.open")
            await tab.run(f"document.querySelector('#login input').value = {key!r}")
            await tab.run("document.querySelector('#login button').click()")
        await tab.until("document.querySelector('#connection').dataset.state === 'live'")


async def test_the_docs_show_every_call_and_try_it(tab: Tab, tmp_path: Path) -> None:
    own = ServiceSettings(port=0, data_dir=tmp_path)
    async with Service(Settings(service=own, store=StoreSettings(url="memory"))) as service:
        await tab.open(f"{service.url}/docs")
        assert await tab.until("document.querySelectorAll('#calls details').length > 25")
        await tab.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        # Their words are Markdown: code is shown as code, not between backticks.
        assert "`" not in await tab.run(
            "[...document.querySelectorAll('p, td, label span')].map((e) => e.innerText).join()"
        )
        assert await tab.run("[...document.querySelectorAll('label span code')].some((e) => e.innerText === 'native')")
        await tab.run("document.querySelector('#getApiV1Status form button, details[id*=tatus] form button').click()")
        await tab.until("[...document.querySelectorAll('pre')].some((e) => e.innerText.includes('uptimeSeconds'))")
        assert tab.complaints == []
