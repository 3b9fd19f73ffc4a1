"""The whole service with an exchange account in its file: from the venue to whoever listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from indexer.app.exchanges import Exchanges
from indexer.app.library import Indexer
from indexer.clients.exchange.account import ExchangeAccount
from indexer.clients.exchange.exact import ccxt_class
from indexer.config import RulesSettings, Settings, StoreSettings
from indexer.demo.venue import Account, Faults, Venue
from indexer.domain.accounts.amounts import AccountKey, Slot
from indexer.domain.accounts.arrivals import Permissions
from indexer.domain.accounts.facts import AccountAlert, AssetChanged, AssetUpdated
from indexer.domain.accounts.registry import Account as Followed
from indexer.domain.restarts import RestartPolicy
from indexer.domain.telling.commits import Event
from indexer.errors import GivenUp, Impossible, NameTaken, NotFound
from indexer.vault import KEY_FILE
from tests.exchange.service import KEY, settings, under_another_key, until

USDT = Slot("spot", "USDT")


@pytest.fixture
async def service(venue: Venue, main: Account, tmp_path: Path) -> AsyncIterator[Indexer]:
    async with Indexer(settings(venue, main, tmp_path), serve=False) as indexer:
        yield indexer


async def test_an_account_of_the_file_is_read_and_its_changes_are_told(
    venue: Venue, main: Account, service: Indexer
) -> None:
    told: list[Event] = []
    service.listen(told.append, None)
    await asyncio.wait_for(service.ready(), 20)
    await until(lambda: service.report.streams()[0].heads == "ws")
    venue.truth.deposit(main, "spot", "USDT", "1.25")
    await until(lambda: any(isinstance(one.fact, AssetUpdated) and one.fact.change for one in told))
    await service.positions.caught_up()
    record = await service.store.accounts.one(KEY, USDT)
    assert record is not None
    assert record.held.amounts.total == Decimal("1001.75")
    assert record.change == Decimal("1.25")
    history = await service.store.accounts.history(KEY, USDT, limit=10)
    assert [row.held.amounts.total for row in history] == [Decimal("1001.75"), Decimal("1000.50")]


async def test_the_status_says_how_an_account_is_known(venue: Venue, main: Account, tmp_path: Path) -> None:
    async with Indexer(settings(venue, main, tmp_path)) as served, ClientSession(served.url) as http:

        async def status() -> dict[str, Any]:
            async with http.get("/api/v1/status") as answer:
                body = await answer.json()
            stream: dict[str, Any] = body["streams"]["exchange:binance:desk"]
            return stream

        async with http.get("/ready") as answer:
            assert answer.status in (200, 503)
        await asyncio.wait_for(served.ready(), 20)
        await until(lambda: served.report.streams()[0].heads == "ws")
        said = await status()
        assert (said["name"], said["state"], said["block"], said["heads"]) == ("binance/desk", "live", None, "ws")
        assert said["account"]["breaker"] == {"state": "closed", "failures": 0, "reason": None}
        assert said["account"]["streamed"] == ["spot"]
        assert said["account"]["reads"]["answered"] >= 2
        assert said["account"]["unsupported"] == {}
        async with http.get("/ready") as answer:
            assert answer.status == 200
        async with http.get("/api/v1/events?stream=exchange:binance:desk&limit=1") as answer:
            (event,) = (await answer.json())["items"]
        assert (event["type"], event["seq"], event["data"]["cause"]) == ("balance.updated", 1, "first")
        async with http.get("/api/v1/events?stream=exchange:binance:other") as answer:
            assert answer.status == 404
        venue.expire_key(main)
        venue.sockets.cut()
        await until(lambda: served.report.streams()[0].state == "suspended")
        said = await status()
        assert (said["account"]["breaker"]["state"], said["account"]["streamed"]) == ("suspended", [])
        assert said["account"]["breaker"]["reason"] == said["lastError"]
        async with http.get("/ready") as answer:
            assert (answer.status, (await answer.json())["reasons"][0][:39]) == (
                503,
                "exchange:binance:desk (binance/desk) is",
            )


async def test_a_refresh_reads_the_wallets_now(venue: Venue, main: Account, service: Indexer) -> None:
    await asyncio.wait_for(service.ready(), 20)
    venue.sockets.mute()
    venue.truth.deposit(main, "spot", "USDT", "1")
    await service.accounts.refresh(KEY)
    await service.positions.caught_up()
    record = await service.store.accounts.one(KEY, USDT)
    assert record is not None
    assert record.held.amounts.total == Decimal("1001.50")
    with pytest.raises(Impossible, match="there are spot, funding"):
        await service.accounts.refresh(KEY, ["margin"])


@pytest.mark.usefixtures("main")
async def test_nobody_waits_for_a_refresh_when_the_service_stops(service: Indexer) -> None:
    await asyncio.wait_for(service.ready(), 20)
    asked = asyncio.create_task(service.accounts.refresh(KEY))
    await asyncio.sleep(0)
    service._waiting.end()
    with pytest.raises(GivenUp, match="the service stops"):
        await asked


async def test_nobody_waits_for_the_trial_of_a_key_when_the_service_stops(
    venue: Venue, main: Account, service: Indexer
) -> None:
    await asyncio.wait_for(service.ready(), 20)
    loop, url = asyncio.get_running_loop(), venue.url("binance")
    added = [Followed(AccountKey("binance", name), ("spot",), base_url=url) for name in ("second", "third")]
    venue.faults = Faults(slow=1.0, slow_seconds=30.0)
    before = venue.requests.total()
    asked = [asyncio.create_task(service.accounts.add(account, main.credentials)) for account in added]
    await until(lambda: venue.requests.total() > before)
    began = loop.time()
    service._waiting.end()
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert [(type(end), str(end)) for end in ends] == [(GivenUp, "the service stops")] * 2
    assert loop.time() - began < 2
    assert [str(one.key) for one in service.accounts.all()] == ["binance/desk"]


async def test_while_a_venue_does_not_answer_the_trial_of_a_key_other_accounts_change(
    venue: Venue, main: Account, service: Indexer
) -> None:
    await asyncio.wait_for(service.ready(), 20)
    async with Venue("okx", seed=2) as other:
        url, theirs = venue.url("binance"), other.account("okx", "quick")
        slow = Followed(AccountKey("binance", "slow"), ("spot",), base_url=url)
        quick = Followed(AccountKey("okx", "quick"), (), base_url=other.url("okx"))
        venue.faults = Faults(slow=1.0, slow_seconds=30.0)
        before = venue.requests.total()
        waiting = asyncio.create_task(service.accounts.add(slow, main.credentials))
        await until(lambda: venue.requests.total() > before)
        async with asyncio.timeout(10):
            await service.accounts.add(quick, theirs.credentials)
            await service.accounts.change(quick.key, poll_seconds=30)
            await service.accounts.remove(quick.key)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait((waiting,))


async def test_of_two_that_add_the_same_name_at_once_one_is_told_that_it_is_taken(
    venue: Venue, main: Account, service: Indexer
) -> None:
    await asyncio.wait_for(service.ready(), 20)
    twice = Followed(AccountKey("binance", "twice"), ("spot",), base_url=venue.url("binance"))
    asked = (service.accounts.add(twice, main.credentials) for _ in range(3))
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["NameTaken", "NameTaken", "Permissions"]
    assert len(await service.store.account_list.all()) == 1


@pytest.mark.usefixtures("main")
async def test_a_refresh_of_what_was_just_read_asks_nobody(venue: Venue, service: Indexer) -> None:
    await asyncio.wait_for(service.ready(), 20)
    await service.accounts.refresh(KEY)
    before = venue.requests.total()
    await service.accounts.refresh(KEY, ["spot"], max_age_seconds=60)
    assert venue.requests.total() == before
    cache = service.report.service()["exchangeCache"]
    assert cache["hits"] == cache["hitRate"] == 1


async def test_a_key_that_expires_suspends_the_account_and_says_so(
    venue: Venue, main: Account, service: Indexer
) -> None:
    told: list[Event] = []
    service.listen(told.append, "account.alert")
    await asyncio.wait_for(service.ready(), 20)
    venue.expire_key(main)
    venue.sockets.cut()
    await until(lambda: service.report.streams()[0].state == "suspended")
    await until(lambda: bool(told))
    assert [one.fact.kind for one in told if isinstance(one.fact, AccountAlert)] == ["authentication"]
    shown = service._metrics.render()[0].decode()
    assert 'indexer_account_breakers{exchange="binance",state="suspended"} 1.0' in shown


async def test_an_account_is_added_with_tried_credentials_kept_sealed_and_followed_again(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    added = Followed(KEY, ("spot",), base_url=venue.url("binance"))
    embedded = StoreSettings(url="embedded")
    before = settings(venue, main, tmp_path, in_file=False)
    durable = Settings(service=before.service, store=embedded)
    async with Indexer(durable, serve=False) as indexer:
        assert await indexer.accounts.add(added, main.credentials) == Permissions(can_trade=False, can_withdraw=False)
        with pytest.raises(NameTaken):
            await indexer.accounts.add(added, main.credentials)
        (kept,) = await indexer.store.account_list.all()
        assert not [value for value in main.credentials.values() if value in kept.sealed]
        await asyncio.wait_for(indexer.ready(), 20)
    async with Indexer(durable, serve=False) as again:
        await asyncio.wait_for(again.ready(), 20)
        assert [one.key for one in again.accounts.all()] == [KEY]
        removed = await asyncio.gather(*(again.accounts.remove(KEY) for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in removed] == [type(None), NotFound, NotFound]
        assert await again.store.account_list.all() == []
        with pytest.raises(NotFound):
            again.accounts.account(KEY)


async def test_what_a_key_may_do_is_shown_whatever_comes_after_its_trial(venue: Venue, tmp_path: Path) -> None:
    daring = venue.account("binance", "daring", permissions=("read", "trade", "withdraw"))
    added = Followed(KEY, ("spot",), base_url=venue.url("binance"))
    before = settings(venue, daring, tmp_path, in_file=False)
    durable = replace(before, store=StoreSettings(url="embedded"))
    within = replace(durable, exchanges=settings(venue, daring, tmp_path).exchanges)
    other = replace(durable, rules=RulesSettings(change_absolute=Decimal(100)))

    def told(indexer: Indexer) -> tuple[bool | None, bool | None] | None:
        found = indexer.accounts.permissions(KEY)
        return None if found is None else (found.can_trade, found.can_withdraw)

    async with Indexer(durable, serve=False) as indexer:
        await indexer.accounts.add(added, daring.credentials)
        assert told(indexer) == (True, True)
        await indexer.accounts.change(KEY, poll_seconds=7)
        assert told(indexer) == (True, True)
        await indexer.accounts.apply(durable, other)
        assert told(indexer) == (True, True)
    async with Indexer(durable, serve=False) as again:
        assert told(again) == (True, True)
        await asyncio.wait_for(again.ready(), 20)
        assert told(again) == (True, True)
        await again.accounts.apply(durable, within)
        assert told(again) is None, "the file's was never tried"
        await again.accounts.apply(within, durable)
        assert told(again) == (True, True)
        careful = venue.new_key(daring, ("read",))
        await again.accounts.change(KEY, credentials=careful.credentials)
        assert told(again) == (False, False)
    async with Indexer(durable, serve=False) as last:
        assert told(last) == (False, False)


@pytest.mark.parametrize(
    ("account", "field", "said"),
    [
        (Followed(AccountKey("binanse", "a"), ()), "exchange", "there are binance"),
        (Followed(AccountKey("binance", "a"), ("spot", "unified")), "wallets[1]", "there are spot, margin"),
    ],
)
async def test_what_an_exchange_does_not_have_is_refused_with_what_it_has(
    venue: Venue, main: Account, tmp_path: Path, account: Followed, field: str, said: str
) -> None:
    async with Indexer(settings(venue, main, tmp_path, in_file=False), serve=False) as indexer:
        with pytest.raises(Impossible, match=said) as caught:
            await indexer.accounts.add(account, main.credentials)
        assert caught.value.field == field


@pytest.mark.parametrize(
    ("exchange", "given", "missing"),
    [
        ("binance", {"apiKey": "k"}, "secret"),
        ("okx", {"apiKey": "k", "secret": "s"}, "password"),
        ("ndax", {"apiKey": "k", "secret": "s", "password": "p"}, "uid"),
        ("paradex", {"uid": "7"}, "privateKey"),
    ],
)
async def test_a_credential_that_is_missing_is_named_and_nobody_is_asked(
    venue: Venue, main: Account, tmp_path: Path, exchange: str, given: dict[str, str], missing: str
) -> None:
    async with Indexer(settings(venue, main, tmp_path, in_file=False), serve=False) as indexer:
        account = Followed(AccountKey(exchange, "a"), (), base_url=venue.url("binance"))
        with pytest.raises(Impossible, match=f"{exchange} asks for .*missing: {missing}") as caught:
            await indexer.accounts.add(account, given)
        assert caught.value.field == f"credentials.{missing}"
    assert not venue.requests


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"wallets": ["spot", "sport"]}, "wallets[1]", "binance has no wallet 'sport'; there are spot, margin"),
        ({"wallets": ["trading"]}, "wallets[0]", "binance has no wallet 'trading'; there are spot, margin"),
        ({"exchange": "binanse"}, "exchange", "there is no exchange 'binanse'; there are"),
    ],
)
async def test_over_http_an_unknown_exchange_or_wallet_is_told_with_those_there_are(
    venue: Venue, main: Account, tmp_path: Path, change: dict[str, Any], field: str, said: str
) -> None:
    new = {"exchange": "binance", "name": "a", "credentials": dict(main.credentials), "baseUrl": venue.url("binance")}
    served = Indexer(settings(venue, main, tmp_path, in_file=False))
    async with served, ClientSession(served.url) as http, http.post("/api/v1/accounts", json=new | change) as answer:
        problem = await answer.json()
        assert (answer.status, problem["field"], said in problem["detail"]) == (422, field, True)
    assert not venue.requests


async def test_wrong_credentials_are_refused_at_registration(venue: Venue, main: Account, tmp_path: Path) -> None:
    async with Indexer(settings(venue, main, tmp_path, in_file=False), serve=False) as indexer:
        wrong = {**main.credentials, "secret": "not the secret"}
        with pytest.raises(Impossible, match="refuses these credentials") as caught:
            await indexer.accounts.add(Followed(KEY, ("spot",), base_url=venue.url("binance")), wrong)
        assert caught.value.field == "credentials"
        assert indexer.accounts.all() == ()


async def test_an_account_of_the_file_cannot_be_removed_over_the_api(service: Indexer) -> None:
    with pytest.raises(Impossible, match="configuration file"):
        await service.accounts.remove(KEY)


async def test_the_files_threshold_decides_what_is_told_as_changed(venue: Venue, main: Account, tmp_path: Path) -> None:
    known = settings(venue, main, tmp_path)
    rules = RulesSettings(change_absolute=Decimal(100), change_percent=Decimal(0))
    bold = replace(known, exchanges={"desk": replace(known.exchanges["desk"], rules=rules)})
    async with Indexer(bold, serve=False) as indexer:
        told: list[Event] = []
        indexer.listen(told.append, None)
        await asyncio.wait_for(indexer.ready(), 20)
        for amount in ("99", "2"):
            venue.truth.deposit(main, "spot", "USDT", amount)
            await indexer.accounts.refresh(KEY)
        facts = [one.fact for one in told]
        assert [fact.change for fact in facts if isinstance(fact, AssetUpdated) and fact.change] == [99, 2]
        assert [fact.change for fact in facts if isinstance(fact, AssetChanged)] == [101]


async def test_a_name_in_the_file_goes_before_one_of_the_api_until_it_is_taken_out_again(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    without, within = settings(venue, main, tmp_path, in_file=False), settings(venue, main, tmp_path)
    async with Indexer(without, serve=False) as indexer:
        await indexer.accounts.add(Followed(KEY, ("spot",), base_url=venue.url("binance")), main.credentials)
        await indexer.accounts.apply(without, within)
        assert indexer.report.service()["config"]["hidden"]["accounts"] == [{"exchange": "binance", "name": "desk"}]
        assert [(one.source, one.wallets) for one in indexer.accounts.all()] == [("file", ("spot", "funding"))]
        await asyncio.wait_for(indexer.ready(), 20)
        await indexer.accounts.apply(within, without)
        assert indexer.report.service()["config"]["hidden"]["accounts"] == []
        assert [(one.source, one.wallets) for one in indexer.accounts.all()] == [("api", ("spot",))]
        await asyncio.wait_for(indexer.ready(), 20)


async def test_an_account_whose_credentials_cannot_be_unsealed_says_so_until_they_are_given_again(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    async with under_another_key(venue, main, tmp_path) as again:
        await until(lambda: [one.state for one in again.report.streams()] == ["suspended"])
        (status,) = again.report.streams()
        assert (status.state, status.ready, "another master key" in (status.last_error or "")) == (
            "suspended",
            False,
            True,
        )
        assert [one.key for one in again.accounts.all()] == [KEY]
        for refused in (again.accounts.refresh(KEY), again.accounts.change(KEY, wallets=("spot",))):
            with pytest.raises(Impossible, match="another master key"):
                await refused
        with pytest.raises(NameTaken):
            await again.accounts.add(Followed(KEY, ("spot",), base_url=venue.url("binance")), main.credentials)
        await again.accounts.change(KEY, credentials=main.credentials)
        await asyncio.wait_for(again.ready(), 20)


async def test_a_key_file_that_cannot_be_used_is_named_in_the_log_and_to_nobody_else(
    venue: Venue, main: Account, tmp_path: Path
) -> None:
    key = tmp_path / KEY_FILE
    key.write_text("0123456789abcdef")
    key.chmod(0o644)
    async with Indexer(settings(venue, main, tmp_path, in_file=False), serve=False) as indexer:
        with capture_logs() as logs, pytest.raises(Impossible, match="chmod 600") as refused:
            await indexer.accounts.add(Followed(KEY, ("spot",), base_url=venue.url("binance")), main.credentials)
    assert str(tmp_path) not in str(refused.value)
    assert [one["path"] for one in logs if one["event"] == "vault_locked"] == [str(key)]


async def test_an_account_that_dies_again_and_again_ends_nobody_else(
    venue: Venue, main: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = RestartPolicy(first_seconds=0.001, longest_seconds=0.01)
    monkeypatch.setattr("actors.supervisor.RestartPolicy", lambda: hasty)

    async def broken(*_: object) -> None:
        raise TypeError("'NoneType' object is not iterable")

    monkeypatch.setattr(ExchangeAccount, "listen", broken)
    async with Indexer(settings(venue, main, tmp_path), serve=False) as indexer:
        desk = indexer.account("binance", "desk")
        await until(lambda: desk.status().state == "suspended")
        assert "TypeError" in str(desk.status().last_error)
        with pytest.raises(Impossible, match="is not followed: an error of ours"):
            await desk.refresh()


async def test_a_test_site_that_an_exchange_has_not_is_said_before_anything_is_asked(service: Indexer) -> None:
    account = Followed(AccountKey("kraken", "desk"), ("spot",), sandbox=True)
    with pytest.raises(Impossible, match="kraken has no sandbox") as caught:
        await service.accounts.add(account, {"apiKey": "a", "secret": "b"})
    assert caught.value.field == "sandbox"


async def test_of_all_venues_those_have_a_sandbox_where_ccxt_can_go_to_one() -> None:
    known = Exchanges().known()
    for name, venue in known.items():
        exchange = ccxt_class(name)({})
        if venue.sandbox:
            exchange.set_sandbox_mode(True)
        else:
            with pytest.raises((ccxt.NotSupported, TypeError)):
                exchange.set_sandbox_mode(True)
