"""Exchange accounts over HTTP: what is followed, and what it holds and held."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from indexer.api.pages import cursor
from indexer.domain.accounts.amounts import AccountKey, Amounts, Slot, Wallet
from indexer.domain.accounts.arrivals import Funding, Position
from indexer.domain.accounts.facts import AssetUpdated, FundingPaid, PositionUpdated
from indexer.domain.health.status import AccountStatus, StreamState, StreamStatus
from indexer.domain.times import time_text
from indexer.errors import BadCredentials, Impossible, NameTaken, Throttled, VenueUnreachable, WalletUnsupported
from tests.api.conftest import HttpClient, Serve, World, problem_of
from tests.api.fakes import EVERY_WALLET, START
from tests.domain.accounts.builders import ACCOUNT, TIME, amounts, held
from tests.repositories.test_accounts import BTC, folded, updates

ACCOUNTS = "/api/v1/accounts"
MAIN = f"{ACCOUNTS}/binance/main"
USDT = f"{MAIN}/balances/spot/USDT"
NEW: dict[str, Any] = {
    "exchange": "binance",
    "name": "main",
    "credentials": {"apiKey": "hush-key", "secret": "hush-secret"},
    "wallets": ["spot", "funding"],
}


async def test_an_added_account_comes_back_without_its_credentials(client: HttpClient, world: World) -> None:
    answer = await client.post(ACCOUNTS, json=NEW)
    assert answer.status == 201
    assert answer.headers["Location"] == MAIN
    assert await answer.json() == {
        "exchange": "binance",
        "name": "main",
        "wallets": ["spot", "funding"],
        "sandbox": False,
        "pollSeconds": None,
        "source": "api",
        "state": "starting",
        "lastError": None,
        "warnings": ["the key can trade; one that can only read is enough"],
    }
    assert world.accounts.kept[ACCOUNT][1] == NEW["credentials"]
    for shown in (await client.get(ACCOUNTS), await client.get(MAIN)):
        assert "hush" not in await shown.text()


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"exchange": None}, 400, "exchange"),
        ({"exchange": "Binance"}, 400, "exchange"),
        ({"name": "a/b"}, 400, "name"),
        ({"name": 5}, 400, "name"),
        ({"credentials": None}, 400, "credentials"),
        ({"credentials": {}}, 400, "credentials"),
        ({"credentials": "hush"}, 400, "credentials"),
        ({"credentials": {"apikey": "hush"}}, 400, "credentials.apikey"),
        ({"credentials": {"apiKey": 5}}, 400, "credentials.apiKey"),
        ({"credentials": {"privatekey": "hush"}}, 400, "credentials.privatekey"),
        ({"credentials": {"uid": "", "twofa": "hush"}}, 400, "credentials.uid"),
        ({"credentials": {"apiKey": "hush-hush ", "secret": "x"}}, 400, "credentials.apiKey"),
        ({"credentials": {"apiKey": "hush-hush\n", "secret": "x"}}, 400, "credentials.apiKey"),
        ({"credentials": {"apiKey": "x", "secret": "hush\0hush"}}, 400, "credentials.secret"),
        ({"wallets": "spot"}, 400, "wallets"),
        ({"wallets": []}, 400, "wallets"),
        ({"wallets": ["spot", 5]}, 400, "wallets[1]"),
        ({"sandbox": "yes"}, 400, "sandbox"),
        ({"pollSeconds": 0}, 400, "pollSeconds"),
        ({"pollSeconds": True}, 400, "pollSeconds"),
        ({"baseUrl": "ftp://x"}, 400, "baseUrl"),
        ({"baseUrl": "https://me:hush@x"}, 400, "baseUrl"),
        ({"baseUrl": "https://[x"}, 400, "baseUrl"),
        ({"baseUrl": "https://x:99999"}, 400, "baseUrl"),
        ({"baseUrl": "https://x y"}, 400, "baseUrl"),
        ({"walets": []}, 400, "walets"),
    ],
)
async def test_a_bad_account_is_refused_with_the_name_of_the_field(
    client: HttpClient, change: dict[str, Any], status: int, field: str
) -> None:
    problem = await problem_of(await client.post(ACCOUNTS, json=NEW | change), status, field)
    assert "hush" not in str(problem)


@pytest.mark.parametrize(
    ("refusal", "status", "field"),
    [
        (NameTaken("there is an account binance/main already", "name"), 409, "name"),
        (Impossible("binance refuses these credentials", "credentials"), 422, "credentials"),
        (VenueUnreachable("binance could not be asked"), 503, None),
    ],
)
async def test_what_cannot_be_followed_says_why(
    client: HttpClient, world: World, refusal: Exception, status: int, field: str | None
) -> None:
    world.accounts.refusal = refusal
    await problem_of(await client.post(ACCOUNTS, json=NEW), status, field)


async def test_an_account_is_changed_refreshed_and_removed(client: HttpClient, world: World) -> None:
    await client.post(ACCOUNTS, json=NEW)
    changed = await client.patch(MAIN, json={"wallets": ["spot"], "pollSeconds": 30, "credentials": {"apiKey": "new"}})
    assert (await changed.json())["wallets"] == ["spot"]
    assert world.accounts.kept[ACCOUNT][1] == {"apiKey": "new"}
    assert (await client.post(f"{MAIN}/refresh")).status == 200
    await problem_of(await client.post(f"{MAIN}/refresh", json={"wallets": ["spot"]}), 400, "wallets")
    assert world.accounts.refreshed == [(ACCOUNT, ())]
    for body, pace in (({"wallets": ["spot"]}, 30), ({"pollSeconds": None}, None)):
        assert (await (await client.patch(MAIN, json=body)).json())["pollSeconds"] == pace
    assert (await client.delete(MAIN)).status == 204
    await problem_of(await client.get(MAIN), 404, "name")


async def test_no_wallets_are_all_there_are_and_one_named_twice_is_one(client: HttpClient) -> None:
    added = await (await client.post(ACCOUNTS, json=NEW | {"wallets": ["spot", "funding", "spot"]})).json()
    assert added["wallets"] == ["spot", "funding"]
    assert (await (await client.patch(MAIN, json={"pollSeconds": 9})).json())["wallets"] == ["spot", "funding"]
    assert (await (await client.patch(MAIN, json={"wallets": None})).json())["wallets"] == list(EVERY_WALLET)


async def test_accounts_are_listed_page_by_page(client: HttpClient) -> None:
    for name in ("b", "a", "c"):
        await client.post(ACCOUNTS, json=NEW | {"name": name})
    first = await (await client.get(f"{ACCOUNTS}?limit=2")).json()
    rest = await (await client.get(f"{ACCOUNTS}?limit=2&cursor={first['next']}")).json()
    assert [one["name"] for one in (*first["items"], *rest["items"])] == ["a", "b", "c"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (BadCredentials("-2015 Invalid API-key"), 422, "the exchange refuses the credentials: -2015 Invalid API-key"),
        (WalletUnsupported("binance has no such wallet"), 422, "binance has no such wallet"),
        (VenueUnreachable("connect failed"), 503, "The exchange cannot answer this just now."),
        (Throttled("429"), 503, "The exchange asks us to slow down."),
    ],
)
async def test_a_refresh_that_the_venue_does_not_answer_says_why(
    client: HttpClient, world: World, error: Exception, status: int, detail: str
) -> None:
    await client.post(ACCOUNTS, json=NEW)
    world.accounts.refusal = error
    assert (await problem_of(await client.post(f"{MAIN}/refresh"), status))["detail"] == detail


async def test_what_is_not_followed_any_more_is_not_held_but_was(client: HttpClient, world: World) -> None:
    await client.post(ACCOUNTS, json=NEW)
    await world.account_books.project(folded([*updates("1", "2.50"), *updates("7", slot=Slot("margin", "BTC"))]))
    assert [one["wallet"] for one in (await (await client.get(f"{MAIN}/balances")).json())["items"]] == ["spot"]
    assert (await (await client.get(f"{MAIN}/balances?wallet=margin")).json())["items"] == []
    await problem_of(await client.get(f"{MAIN}/balances/margin/BTC"), 404, "wallet")
    await client.delete(MAIN)
    for path in (f"{MAIN}/balances", USDT, f"{MAIN}/positions"):
        await problem_of(await client.get(path), 404, "name")
    for path in (f"{USDT}/history", f"{USDT}/stats", f"{USDT}?at=2030-01-01T00:00:00Z"):
        assert (await client.get(path)).status == 200


async def test_amounts_are_shown_as_the_venue_said_them(client: HttpClient, world: World) -> None:
    await client.post(ACCOUNTS, json=NEW)
    await world.account_books.project(folded([*updates("1", "2.50"), *updates("7", slot=BTC)]))
    listed = await (await client.get(f"{MAIN}/balances")).json()
    assert [(one["wallet"], one["asset"], one["balance"]) for one in listed["items"]] == [
        ("spot", "BTC", "7"),
        ("spot", "USDT", "2.5"),
    ]
    one = await (await client.get(USDT)).json()
    assert one == listed["items"][1]
    assert (one["free"], one["debt"], one["measure"], one["source"]) == ("2.5", None, "wallet", "rest")
    narrowed = await (await client.get(f"{MAIN}/balances?asset=BTC&wallet=spot")).json()
    assert narrowed["items"] == listed["items"][:1]
    paged = await (await client.get(f"{MAIN}/balances?limit=1")).json()
    following = await (await client.get(f"{MAIN}/balances?limit=1&cursor={paged['next']}")).json()
    assert following["items"] == listed["items"][1:]


async def test_an_amount_that_the_venue_does_not_tell_any_more_is_null_and_not_zero(
    client: HttpClient, world: World
) -> None:
    await client.post(ACCOUNTS, json=NEW)
    (zero,) = updates("0")
    untold = AssetUpdated(ACCOUNT, replace(held("0"), amounts=Amounts()), amounts("0", "0", "0"), "rest")
    await world.account_books.project(folded([zero, untold]))
    one = await (await client.get(USDT)).json()
    assert [one[name] for name in ("balance", "free", "used", "total", "debt")] == [None] * 5
    history = (await (await client.get(f"{USDT}/history")).json())["items"]
    assert [(each["balance"], each["used"], each["changeAmount"]) for each in history] == [
        (None, None, None),
        ("0", "0", None),
    ]
    stats = await (await client.get(f"{USDT}/stats")).json()
    assert (stats["last"], stats["max"]) == ("0", "0")


async def test_what_nobody_tells_of_is_marked_as_the_last_known(client: HttpClient, world: World) -> None:
    await client.post(ACCOUNTS, json=NEW)
    await world.account_books.project(folded(updates("1")))
    for state, stale in (("live", False), ("catching_up", False), ("stale", True), ("suspended", True)):
        world.status.more = [StreamStatus("exchange:binance:main", "binance/main", cast(StreamState, state))]
        one = await (await client.get(USDT)).json()
        (listed,) = (await (await client.get(f"{MAIN}/balances?asset=USDT")).json())["items"]
        assert (one["stale"], listed["stale"]) == (stale, stale)
    for wallet, stale in (("spot", True), ("funding", False)):
        account = AccountStatus(stale=(cast(Wallet, wallet),))
        world.status.more = [StreamStatus("exchange:binance:main", "binance/main", "live", account=account)]
        one = await (await client.get(USDT)).json()
        (listed,) = (await (await client.get(f"{MAIN}/balances?asset=USDT")).json())["items"]
        assert (one["stale"], listed["stale"]) == (stale, stale)
    for kept_out, stale in (((Slot("spot", "USDT"),), True), ((BTC,), False)):
        account = AccountStatus(kept_out=kept_out)
        world.status.more = [StreamStatus("exchange:binance:main", "binance/main", "live", account=account)]
        one = await (await client.get(USDT)).json()
        (listed,) = (await (await client.get(f"{MAIN}/balances?asset=USDT")).json())["items"]
        assert (one["stale"], listed["stale"]) == (stale, stale)
    world.status.more = [StreamStatus("exchange:binance:main", "binance/main")]  # nobody has said anything yet
    assert (await (await client.get(USDT)).json())["stale"] is True
    then = (TIME + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    assert (await (await client.get(f"{USDT}?at={then}")).json())["stale"] is False


async def test_history_stats_and_as_it_was(client: HttpClient, world: World) -> None:
    await world.account_books.project(folded(updates("1", "4", "2.50")))
    history = await (await client.get(f"{USDT}/history?limit=2")).json()
    assert [(one["balance"], one["changeAmount"], one["cause"]) for one in history["items"]] == [
        ("2.5", "-1.5", "rest"),
        ("4", "3", "rest"),
    ]
    rest = await (await client.get(f"{USDT}/history?cursor={history['next']}")).json()
    assert [one["seq"] for one in rest["items"]] == [1]
    stats = await (await client.get(f"{USDT}/stats")).json()
    assert {name: stats[name] for name in ("count", "first", "last", "min", "max", "average", "change")} == {
        "count": 3,
        "first": "1",
        "last": "2.5",
        "min": "1",
        "max": "4",
        "average": "2.5",
        "change": "1.5",
    }
    assert stats["changePercent"] == "150"
    assert Decimal(1) < Decimal(stats["timeWeightedAverage"]) < Decimal(4)
    assert stats["trend"]["direction"] == "up"
    quiet = await (await client.get(f"{USDT}/stats?from={START.isoformat().replace('+00:00', 'Z')}")).json()
    assert (quiet["timeWeightedAverage"], quiet["volatility"]) != (None, None)
    then = (TIME + timedelta(seconds=2)).isoformat().replace("+00:00", "Z")
    assert (await (await client.get(f"{USDT}?at={then}")).json())["balance"] == "4"
    await problem_of(await client.get(f"{USDT}?at=2009-01-03T00:00:00Z"), 404, "at")


async def test_a_series_has_a_point_for_each_stretch_and_goes_on_where_nothing_changed(
    serve: Serve, world: World
) -> None:
    client = await serve(now=lambda: START + timedelta(hours=2))
    await world.account_books.project(folded(updates("1", "4", "2")))
    to = (START + timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    series = await (await client.get(f"{USDT}/series?period=24h&granularity=hour&to={to}")).json()
    assert [(one["balance"], one["min"], one["max"]) for one in series["items"]] == [
        ("2", "1", "4"),
        ("2", "2", "2"),
        ("2", "2", "2"),
    ]
    assert series["next"] is None
    later = (START + timedelta(hours=12)).isoformat().replace("+00:00", "Z")
    future = await (await client.get(f"{USDT}/series?period=24h&granularity=hour&to={later}")).json()
    assert future["items"] == series["items"], "nobody knows what will be"
    await problem_of(await client.get(f"{USDT}/series?period=1y&granularity=minute"), 422, "granularity")
    await problem_of(await client.get(f"{USDT}/series?period=2h"), 400, "period")
    first = await (await client.get(f"{USDT}/series?period=24h&granularity=hour&to=0001-01-01T00:00:00Z")).json()
    assert first["items"] == [], "there is no time before it"


@pytest.mark.parametrize("to", ["", "&to=2030-01-01T00:00:00Z"])
async def test_statistics_of_what_is_yet_to_come_are_refused(serve: Serve, world: World, to: str) -> None:
    client = await serve(now=lambda: START + timedelta(hours=2))
    await world.account_books.project(folded(updates("1", "4")))
    later = (START + timedelta(hours=2, microseconds=1)).isoformat().replace("+00:00", "Z")
    problem = await problem_of(await client.get(f"{USDT}/stats?from={later}{to}"), 422, "from")
    assert problem["detail"] == "`from` is later than now"
    now = (START + timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    assert (await client.get(f"{USDT}/stats?from={now}{to}")).status == 200


class Counted(Decimal):
    """One that knows how many of its like are in memory."""

    alive = most = 0

    def __init__(self, _text: str) -> None:
        Counted.alive += 1
        Counted.most = max(Counted.most, Counted.alive)

    def __del__(self) -> None:
        Counted.alive -= 1


async def test_a_series_over_a_long_history_keeps_its_points_and_no_records(
    client: HttpClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def balances(*_key: Any, start: datetime, **_end: Any) -> AsyncIterator[tuple[datetime, Decimal]]:
        for number in range(20_000):
            yield start + number * timedelta(seconds=4), Counted(str(number))

    await world.account_books.project(folded(updates("1")))
    monkeypatch.setattr(world.account_books, "balances", balances)
    series = await (await client.get(f"{USDT}/series?period=24h&granularity=hour")).json()
    assert [one["balance"] for one in series["items"]][-1] == "19999"
    assert len(series["items"]) <= 25
    assert Counted.most <= 3 * 25 + 10, "each point has an end, a least and a most"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "0001-06-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_times_at_the_edge_of_all_time_are_times_like_others(client: HttpClient, world: World, time: str) -> None:
    await client.post(ACCOUNTS, json=NEW)
    await world.account_books.project(folded(updates("1", "4")))
    is_future = time > "2026"
    stats = await client.get(f"{USDT}/stats?from={time}")
    if is_future:
        await problem_of(stats, 422, "from")
    else:
        assert (stats.status, (await stats.json())["count"]) == (200, 2)
    stats = await client.get(f"{USDT}/stats?to={time}")
    assert (stats.status, (await stats.json())["count"]) == (200, 2 if is_future else 0)
    for period in ("24h", "1y"):
        series = await client.get(f"{USDT}/series?period={period}&granularity=day&to={time}")
        assert series.status == 200
        assert is_future or not (await series.json())["items"]


async def test_a_series_up_to_a_time_to_come_is_the_period_up_to_now(serve: Serve, world: World) -> None:
    client = await serve(now=lambda: START + timedelta(hours=2))
    await world.account_books.project(folded(updates("1", "4", "2")))
    until_now = await (await client.get(f"{USDT}/series?period=24h&granularity=hour")).json()
    to = (START + timedelta(days=300)).isoformat().replace("+00:00", "Z")
    assert until_now["items"]
    assert await (await client.get(f"{USDT}/series?period=24h&granularity=hour&to={to}")).json() == until_now


async def test_positions_and_funding_payments_are_listed(client: HttpClient, world: World) -> None:
    await client.post(ACCOUNTS, json=NEW)
    position = Position("BTC/USDT:USDT", "long", Decimal("0.50"))
    paid = [FundingPaid(ACCOUNT, Funding(f"f{n}", position.symbol, "USDT", Decimal(n), TIME)) for n in (1, 2)]
    await world.account_books.project(folded([PositionUpdated(ACCOUNT, position, TIME), *paid]))
    positions = await (await client.get(f"{MAIN}/positions")).json()
    assert [(one["symbol"], one["contracts"]) for one in positions["items"]] == [("BTC/USDT:USDT", "0.5")]
    fundings = await (await client.get(f"{MAIN}/fundings")).json()
    assert [one["amount"] for one in fundings["items"]] == ["1", "2"]


async def test_positions_come_in_pages(client: HttpClient, world: World) -> None:
    await client.post(ACCOUNTS, json=NEW)
    symbols = [f"{letter}/USDT:USDT" for letter in "ABCDE"]
    told = [PositionUpdated(ACCOUNT, Position(symbol, "long", Decimal(1)), TIME) for symbol in symbols]
    await world.account_books.project(folded(told))
    seen: list[str] = []
    path, pages = f"{MAIN}/positions?limit=2", 0
    while path:
        page = await (await client.get(path)).json()
        assert len(page["items"]) <= 2
        seen, pages = seen + [one["symbol"] for one in page["items"]], pages + 1
        path = page["next"] and f"{MAIN}/positions?limit=2&cursor={page['next']}"
    assert (seen, pages) == (symbols, 3)
    await problem_of(await client.get(f"{MAIN}/positions?limit=0"), 400, "limit")
    await problem_of(await client.get(f"{MAIN}/positions?cursor=nonsense"), 400, "cursor")


async def test_a_page_of_funding_payments_may_end_between_those_of_one_time(client: HttpClient, world: World) -> None:
    await client.post(ACCOUNTS, json=NEW)
    paid = [
        FundingPaid(ACCOUNT, Funding(f"f{n}", "BTC/USDT:USDT", "USDT", Decimal(n), TIME + timedelta(hours=n // 5)))
        for n in range(7)
    ]
    await world.account_books.project(folded(paid))
    seen: list[str] = []
    path = f"{MAIN}/fundings?limit=2"
    while path:
        page = await (await client.get(path)).json()
        seen += [one["id"] for one in page["items"]]
        path = page["next"] and f"{MAIN}/fundings?limit=2&cursor={page['next']}"
    assert seen == ["f5", "f6", "f0", "f1", "f2", "f3", "f4"]


@pytest.mark.parametrize("time", ["yesterday", "2026-11-21", ""])
async def test_a_cursor_of_funding_payments_that_nobody_gave_out_is_refused(client: HttpClient, time: str) -> None:
    await client.post(ACCOUNTS, json=NEW)
    made_up = cursor("account-fundings", time, "f1")
    await problem_of(await client.get(f"{MAIN}/fundings?cursor={made_up}"), 400, "cursor")


async def test_funding_payments_are_those_of_a_time_range(client: HttpClient, world: World) -> None:
    await client.post(ACCOUNTS, json=NEW)
    times = [TIME + timedelta(hours=8 * n) for n in range(4)]
    paid = [
        FundingPaid(ACCOUNT, Funding(f"f{n}", "BTC/USDT:USDT", "USDT", Decimal(n), time))
        for n, time in enumerate(times)
    ]
    await world.account_books.project(folded(paid))
    first, second, third, last = (time_text(time) for time in times)

    async def seen(query: str) -> list[str]:
        page = await (await client.get(f"{MAIN}/fundings?{query}")).json()
        return [one["id"] for one in page["items"]]

    assert await seen(f"from={second}") == ["f3", "f2", "f1"]
    assert await seen(f"to={second}") == ["f1", "f0"]
    assert await seen(f"from={second}&to={third}") == ["f2", "f1"]
    newest = (await (await client.get(f"{MAIN}/fundings?from={second}&limit=1")).json())["next"]
    assert await seen(f"from={second}&limit=9&cursor={newest}") == ["f2", "f1"]
    await problem_of(await client.get(f"{MAIN}/fundings?from=yesterday"), 400, "from")
    await problem_of(await client.get(f"{MAIN}/fundings?from={last}&to={first}"), 422, "from")


async def test_no_funding_payment_in_a_time_range_is_an_answer_also_of_an_account_that_is_gone(
    client: HttpClient, world: World
) -> None:
    paid = FundingPaid(ACCOUNT, Funding("f1", "BTC/USDT:USDT", "USDT", Decimal(1), TIME))
    await world.account_books.project(folded([paid]))
    answer = await client.get(f"{MAIN}/fundings?to=2020-01-01T00:00:00Z")
    assert await answer.json() == {"items": [], "next": None}
    unknown = await client.get("/api/v1/accounts/binance/nobody/fundings?to=2020-01-01T00:00:00Z")
    assert unknown.status == 404


@pytest.mark.parametrize("path", ["/balances", "/balances/spot/USDT", "/balances/spot/USDT/history", "/fundings"])
async def test_nothing_known_is_not_found(client: HttpClient, path: str) -> None:
    answer = await client.get(f"{MAIN}{path}")
    assert answer.status == 404


async def test_an_account_that_holds_nothing_is_an_empty_page(client: HttpClient) -> None:
    await client.post(ACCOUNTS, json=NEW)
    assert await (await client.get(f"{MAIN}/balances")).json() == {"items": [], "next": None}


async def test_an_unknown_wallet_is_told_with_those_there_are(client: HttpClient) -> None:
    await problem_of(await client.get(f"{MAIN}/balances/sport/USDT"), 404, "wallet")
    await problem_of(await client.get(f"{MAIN}/balances?wallet=sport"), 400, "wallet")


def test_the_account_of_these_tests_is_binance_main() -> None:
    assert AccountKey("binance", "main") == ACCOUNT


async def test_an_asset_that_cannot_be_is_refused_and_one_that_is_not_there_yet_is_not(client: HttpClient) -> None:
    await client.post(ACCOUNTS, json=NEW)
    for asset in ("", "X" * 65):
        await problem_of(await client.get(f"{MAIN}/balances?asset={asset}"), 400, "asset")
    empty = await client.get(f"{MAIN}/balances?asset=NEVER")
    assert (empty.status, (await empty.json())["items"]) == (200, [])


async def test_a_cursor_of_another_asset_is_refused(client: HttpClient, world: World) -> None:
    await world.account_books.project(folded([*updates("1", "2"), *updates("7", slot=BTC)]))
    following = (await (await client.get(f"{USDT}/history?limit=1")).json())["next"]
    assert following is not None
    await problem_of(await client.get(f"{MAIN}/balances/spot/BTC/history?cursor={following}"), 400, "cursor")
