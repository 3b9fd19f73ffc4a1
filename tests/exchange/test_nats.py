"""One account from its venue to the subjects of a real nats-server, which is killed in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer import Indexer
from indexer.config import NatsSettings
from indexer.demo.venue import Account, Venue
from indexer.domain.telling.events import EVENT_TYPES
from tests.exchange.service import settings, until
from tests.fixtures.nats import NatsServer, ids, stored

pytestmark = [pytest.mark.nats]

STREAM = "exchange:binance:desk"


async def test_what_is_told_of_an_account_is_on_its_subjects_once_and_in_order(
    venue: Venue, nats_server: NatsServer, tmp_path: Path
) -> None:
    main: Account = venue.account("binance")
    venue.truth.deposit(main, "spot", "USDT", "1000.50")
    venue.truth.deposit(main, "futures", "USDT", "50000")
    wanted = settings(venue, main, tmp_path)
    wanted = replace(
        wanted,
        exchanges={"desk": replace(wanted.exchanges["desk"], wallets=("spot", "futures"))},
        nats=NatsSettings(url=nats_server.url),
    )
    async with Indexer(wanted, serve=False) as indexer:
        await asyncio.wait_for(indexer.ready(), 20)
        desk = indexer.account("binance", "desk")
        await until(lambda: desk.status().heads == "ws")
        await until(_is_done(indexer))
        heard: list[str] = []
        desk.listen(lambda event: heard.append(EVENT_TYPES[type(event.fact)]))
        nats_server.kill()
        for amount in ("0.01", "500", "0.000000000000000001"):
            venue.truth.deposit(main, "spot", "USDT", amount)
        venue.truth.open_position(main, "BTC/USDT:USDT", "0.1", "60000")
        venue.truth.pay_funding(main, "BTC/USDT:USDT", "-1.25")
        await desk.refresh()
        await until(lambda: {"position.updated", "funding_fee"} <= set(heard))
        await nats_server.start()
        await until(_is_done(indexer))
        venue.expire_key(main)
        venue.sockets.cut()
        await until(lambda: "stream.stale" in heard and "account.alert" in heard)
        await until(_is_done(indexer))
        found = await stored(nats_server)
        commits = await indexer.store.commits.since(STREAM, 0, 1_000)
        told = [event.id for commit in commits for event in commit.events(indexer.store.epoch)]
    assert ids(found, STREAM) == told
    subjects = {subject for subject, _ in found}
    assert {
        "balance.binance.desk",
        "positions.binance.desk",
        "funding_fees.binance.desk",
        "alerts.authentication",
        f"streams.{STREAM}",
    } <= subjects
    assert {body["type"] for subject, body in found if subject == "balance.binance.desk"} == {
        "balance.updated",
        "balance.changed",
    }
    newest = [
        body["data"] for _, body in found if body["type"] == "balance.updated" and body["data"]["wallet"] == "spot"
    ]
    assert newest[-1]["total"] == "1500.510000000000000001"


def _is_done(indexer: Indexer) -> Callable[[], bool]:
    def is_done() -> bool:
        nats: dict[str, Any] | None = indexer.report.service()["nats"]
        return nats is not None and nats["state"] == "live" and nats["lagEvents"] == 0

    return is_done
