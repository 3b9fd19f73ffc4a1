"""What an order holds, where the venue's frames tell no more than that there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from indexer.app.library import Indexer
from indexer.clients.exchange.dialects.table import DIALECTS
from indexer.config import ExchangeSettings, ServiceSettings, Settings, StoreSettings
from indexer.demo.venue import Account, Venue
from indexer.domain.accounts.amounts import AccountKey, Slot, Wallet
from indexer.domain.accounts.arrivals import Arrival, OrderMoved, StreamOpened, Updated
from indexer.masking import Secret
from tests.exchange.conftest import Connect
from tests.exchange.test_listening import until

SILENT: list[tuple[str, Wallet, str]] = [
    ("binance", "futures", "USDT"),
    ("binance", "coin_futures", "BTC"),
    ("kraken", "spot", "USDT"),
]
"""Whose frames say nothing of what orders hold."""


async def test_an_order_is_a_reason_to_read_its_wallet(venue: Venue, tmp_path: Path) -> None:
    """Without it the next read comes after a minute at least. All of them at once: each waits for seconds."""
    desks: dict[str, ExchangeSettings] = {}
    for exchange, wallet, asset in SILENT:
        account = venue.account(exchange, wallet)
        venue.truth.deposit(account, wallet, asset, "1000")
        desks[f"{exchange} {wallet}"] = ExchangeSettings(
            name=wallet,
            exchange=exchange,
            api_key=Secret(account.credentials["apiKey"]),
            secret=Secret(account.credentials["secret"]),
            wallets=(wallet,),
            base_url=venue.url(exchange),
        )
    settings = Settings(
        service=ServiceSettings(port=0, data_dir=tmp_path), store=StoreSettings(url="memory"), exchanges=desks
    )
    async with Indexer(settings, serve=False) as indexer:
        await asyncio.wait_for(indexer.ready(), 20)
        await until(lambda: all(stream.heads == "ws" for stream in indexer.report.streams()))

        async def follows_orders(exchange: str, wallet: Wallet, asset: str) -> None:
            account, key = venue.account(exchange, wallet), AccountKey(exchange, wallet)
            for change, left in ((venue.truth.hold, "900"), (venue.truth.release, "1000")):
                change(account, wallet, asset, "100")
                async with asyncio.timeout(20):
                    while await free(key, Slot(wallet, asset)) != Decimal(left):  # noqa: ASYNC110 - the store tells nobody
                        await asyncio.sleep(0.05)

        async def free(key: AccountKey, slot: Slot) -> Decimal | None:
            record = await indexer.store.accounts.one(key, slot)
            return None if record is None else record.held.amounts.free

        await asyncio.gather(*(follows_orders(*each) for each in SILENT))
        assert [(one.state, one.last_error) for one in indexer.report.streams()] == [("live", None)] * len(SILENT)


@pytest.mark.parametrize(("exchange", "wallet", "asset"), SILENT)
async def test_an_order_is_heard_beside_what_the_stream_tells_of_balances(
    venue: Venue, connect: Connect, exchange: str, wallet: Wallet, asset: str
) -> None:
    account = venue.account(exchange)
    venue.truth.deposit(account, wallet, asset, "1000")
    heard: list[Arrival] = []
    listening = asyncio.create_task(connect(account, wallet).listen(heard.append))
    await until(lambda: any(isinstance(one, StreamOpened) for one in heard))
    await until(_holds_until_heard(venue, account, wallet, asset, heard))
    venue.truth.deposit(account, wallet, asset, "5")
    await until(lambda: any(isinstance(one, Updated) and one.amounts[asset].total == 1005 for one in heard))
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


def _holds_until_heard(
    venue: Venue, account: Account, wallet: Wallet, asset: str, heard: list[Arrival]
) -> Callable[[], bool]:
    """Kraken tells of orders once it was asked to, a moment after it tells of balances."""

    def is_heard() -> bool:
        venue.truth.hold(account, wallet, asset, "0.01")
        return OrderMoved(wallet) in heard

    return is_heard


async def test_a_key_that_may_not_ask_for_orders_hears_of_balances(
    venue: Venue, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.clients.exchange.dialects.kraken._ORDERS", "nothing of the kind")
    assert DIALECTS["kraken"].asks_for_orders
    account = venue.account("kraken")
    heard: list[Arrival] = []
    listening = asyncio.create_task(connect(account, "spot").listen(heard.append))
    await until(lambda: any(isinstance(one, StreamOpened) for one in heard))
    venue.truth.deposit(account, "spot", "USDT", "5")
    await until(lambda: any(isinstance(one, Updated) and "USDT" in one.amounts for one in heard))
    assert not listening.done()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
