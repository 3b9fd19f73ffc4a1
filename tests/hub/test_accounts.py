"""Exchange accounts over the hub: filters, snapshots, gaps, replays and slow readers, as for chains."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any

import orjson
import pytest
from aiohttp import WSMsgType

from indexer.api.hub import Limits
from indexer.domain.accounts.amounts import AccountKey, Slot
from indexer.domain.accounts.arrivals import Funding, Position
from indexer.domain.accounts.facts import (
    AccountAlert,
    AccountFact,
    AccountStale,
    AssetChanged,
    AssetUpdated,
    FundingPaid,
    PositionUpdated,
)
from indexer.domain.accounts.registry import Account
from indexer.domain.health.status import AccountStatus
from tests.domain.accounts.builders import held
from tests.hub.fakes import TIME, World, solver, updated
from tests.hub.stage import Client, stage, until

DESK, HEDGE, OKX = AccountKey("binance", "desk"), AccountKey("binance", "hedge"), AccountKey("okx", "desk")
USDT, BTC, MARGIN = Slot("spot", "USDT"), Slot("spot", "BTC"), Slot("margin", "USDT")


def asset(total: int, slot: Slot = USDT, account: AccountKey = DESK, before: int | None = None) -> AssetUpdated:
    previous = None if before is None else held(str(before), slot).amounts
    return AssetUpdated(account, held(str(total), slot), previous, "first" if before is None else "stream")


def alert(*, cleared: bool = False, slot: Slot | None = None, account: AccountKey = DESK) -> AccountAlert:
    wallet, name = slot or (None, None)
    return AccountAlert(account, "authentication", "error", "no", wallet, name, cleared)


def paid(number: int, account: AccountKey = DESK) -> FundingPaid:
    return FundingPaid(account, Funding(str(number), "BTC/USDT:USDT", "USDT", Decimal(-1), TIME))


def position(contracts: int, account: AccountKey = DESK) -> PositionUpdated:
    return PositionUpdated(account, Position("BTC/USDT:USDT", "long", Decimal(contracts)), TIME)


def changed(slot: Slot = USDT, account: AccountKey = DESK) -> AssetChanged:
    return AssetChanged(account, slot, Decimal(1), Decimal(2))


def desks(*facts: AccountFact) -> World:
    """Three accounts, and what was told of them before."""
    world = World()
    world.held.followed = [Account(key, ("spot", "margin")) for key in (DESK, HEDGE, OKX)]
    for fact in facts:
        world.commit(fact)
    world.project()
    return world


def amounts(snapshot: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    return [
        (item["exchange"], item["account"], item["wallet"], item["asset"], item["balance"])
        for item in snapshot["items"]
        if "exchange" in item
    ]


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ([], [1, 2, 3, 4, 5, 6, 7]),
        ([{"exchange": "binance"}], [1, 2, 3, 4, 5, 6, 7]),
        ([{"exchange": "okx"}], []),
        ([{"account": "desk"}], [1, 2, 3, 4, 5, 6, 7]),
        ([{"account": "hedge"}], []),
        ([{"exchange": "binance", "account": "desk", "type": "balance.changed"}], [3]),
        ([{"type": "balance.updated"}], [1, 2]),
        ([{"type": "position.updated"}], [4]),
        ([{"type": "funding_fee"}], [5]),
        ([{"type": "account.alert"}], [6]),
        ([{"type": "stream.stale", "account": "desk"}], [7]),
        ([{"wallet": "spot"}], [1, 3, 6]),
        ([{"wallet": "margin"}], [2]),
        ([{"asset": "USDT"}], [2, 5, 6]),
        ([{"asset": "BTC", "type": "balance.updated"}, {"type": "funding_fee"}], [1, 5]),
        ([{"chain": 1}], []),
        ([{"solver": solver(1)}, {"asset": "BTC"}], [1, 3]),
    ],
)
async def test_a_filter_lets_through_what_agrees_with_all_its_fields(
    filters: list[dict[str, object]], told: list[int]
) -> None:
    async with stage(desks()) as on:
        client = await on.client()
        await client.subscribe(filters=filters)
        on.tell(asset(1, BTC), asset(2, MARGIN), changed(BTC), position(1), paid(1), alert(slot=USDT))
        on.tell(AccountStale(DESK, "no answer"))
        assert [frame["seq"] for frame in await client.until_pong()] == told


@pytest.mark.parametrize(
    ("one", "field", "status"),
    [
        ({"exchange": "binanse"}, "exchange", 404),
        ({"exchange": 1}, "exchange", 400),
        ({"exchange": None}, "exchange", 400),
        ({"account": "nobody"}, "account", 404),
        ({"exchange": "okx", "account": "hedge"}, "account", 404),
        ({"wallet": "sopt"}, "wallet", 400),
        ({"wallet": ["spot"]}, "wallet", 400),
        ({"asset": ""}, "asset", 400),
        ({"asset": "x" * 65}, "asset", 400),
        ({"asset": 7}, "asset", 400),
        ({"chain": 1, "exchange": "binance"}, "exchange", 422),
        ({"solver": solver(1), "asset": "ETH"}, "asset", 422),
        ({"type": "balance.reverted", "wallet": "spot"}, "wallet", 422),
        ({"type": "history.filled", "account": "desk"}, "account", 422),
        ({"type": "balance.changed", "chain": 1}, "chain", 422),
        ({"type": "funding_fee", "token": "native"}, "token", 422),
        ({"type": "funding_fee", "wallet": "spot"}, "wallet", 422),
        ({"type": "position.updated", "wallet": "futures"}, "wallet", 422),
        ({"type": "position.updated", "asset": "BTC"}, "asset", 422),
        ({"type": "stream.stale", "wallet": "spot"}, "wallet", 422),
        ({"type": "stream.live", "solver": solver(1)}, "solver", 422),
        ({"type": "chain.finalized", "token": "native"}, "token", 422),
        ({"type": "stream.resync", "solver": solver(1)}, "solver", 422),
    ],
)
async def test_a_filter_that_cannot_be_is_refused_with_its_field(one: dict[str, Any], field: str, status: int) -> None:
    async with stage(desks()) as on:
        client = await on.client()
        await client.send(op="subscribe", id="x", filters=[{}, one])
        answer = await client.read()
        assert (answer["problem"]["field"], answer["problem"]["status"]) == (f"filters[1].{field}", status)


async def test_a_snapshot_shows_amounts_beside_balances_with_the_position_of_every_stream() -> None:
    world = desks(asset(5), asset(7, MARGIN), asset(9, account=OKX))
    world.commit(updated(1, 3))
    world.project()
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(snapshot=True)
        snapshot = await client.read_event()
        assert snapshot["positions"] == {"chain:1": 1, "exchange:binance:desk": 2, "exchange:okx:desk": 1}
        assert snapshot["items"][0]["chainId"] == 1
        assert amounts(snapshot) == [
            ("binance", "desk", "margin", "USDT", "7"),
            ("binance", "desk", "spot", "USDT", "5"),
            ("okx", "desk", "spot", "USDT", "9"),
        ]
        assert set(snapshot["items"][1]) == {
            "exchange", "account", "wallet", "asset", "balance", "free", "used", "total", "debt", "measure", "source",
            "venueTime", "receivedAt", "timestamp", "seq", "stale",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("filters", "covered"),
    [
        ([{"exchange": "okx"}], ["okx/desk spot USDT"]),
        ([{"account": "desk", "asset": "BTC"}], ["binance/desk spot BTC"]),
        ([{"wallet": "margin"}], ["binance/desk margin USDT"]),
        ([{"type": "balance.changed", "exchange": "okx"}], ["okx/desk spot USDT"]),
        ([{"type": "funding_fee"}], []),
        ([{"type": "balance.reverted"}], []),
        ([{"chain": 1}], []),
        ([{"account": "hedge"}, {"exchange": "okx"}], ["okx/desk spot USDT"]),
    ],
)
async def test_a_snapshot_holds_the_amounts_that_the_filters_cover(
    filters: list[dict[str, Any]], covered: list[str]
) -> None:
    async with stage(desks(asset(1), asset(2, BTC), asset(3, MARGIN), asset(4, account=OKX))) as on:
        client = await on.client()
        await client.subscribe(filters=filters, snapshot=True)
        items = amounts(await client.read_event())
        assert [f"{one[0]}/{one[1]} {one[2]} {one[3]}" for one in items] == covered


async def test_a_snapshot_says_what_is_only_the_last_known() -> None:
    world = desks(asset(1), asset(2, BTC), asset(3, MARGIN), asset(4, account=OKX))
    world.accounts = {
        DESK: AccountStatus(stale=("margin",), kept_out=(BTC,)),
        OKX: AccountStatus(),
    }
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(snapshot=True)
        snapshot = await client.read_event()
        assert [(item["wallet"], item["asset"], item["stale"]) for item in snapshot["items"]] == [
            ("margin", "USDT", True),
            ("spot", "BTC", True),
            ("spot", "USDT", False),
            ("spot", "USDT", False),
        ]


async def test_a_snapshot_of_one_account_asks_for_one_account() -> None:
    world = desks(asset(1), asset(4, account=OKX))
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(filters=[{"exchange": "okx", "account": "desk"}], snapshot=True)
        assert len(amounts(await client.read_event())) == 1
        assert world.held.questions == [OKX]


async def test_a_snapshot_leaves_out_accounts_and_wallets_that_are_not_followed_any_more() -> None:
    world = desks(asset(1), asset(2, MARGIN), asset(3, account=OKX))
    world.held.followed = [Account(DESK, ("spot",))]
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(snapshot=True)
        assert amounts(await client.read_event()) == [("binance", "desk", "spot", "USDT", "1")]


async def test_what_is_told_but_not_projected_is_in_the_snapshot() -> None:
    async with stage(desks(asset(1), asset(2, BTC))) as on:
        on.tell(asset(10, before=1), asset(20, MARGIN), position(1), project=False)
        client = await on.client()
        await client.subscribe(snapshot=True)
        snapshot = await client.read_event()
        assert snapshot["positions"] == {"exchange:binance:desk": 5}
        assert [one[-1] for one in amounts(snapshot)] == ["20", "2", "10"]


async def test_a_snapshot_waits_until_what_it_saw_was_delivered() -> None:
    world = desks(asset(1))
    async with stage(world) as on:
        commit = world.commit(asset(2, before=1))
        world.project()
        client = await on.client()
        await client.subscribe(snapshot=True)
        await client.send(op="ping")
        assert (await client.read())["type"] == "pong"
        on.hub.deliver(commit)
        snapshot = await client.read_event()
        assert (snapshot["positions"], amounts(snapshot)[0][-1]) == ({"exchange:binance:desk": 2}, "2")
        assert await client.until_pong() == []


@pytest.mark.parametrize("after", [1, 9])
async def test_a_gap_is_told_with_a_snapshot_of_that_account(after: int) -> None:
    world = desks(asset(1), asset(2, before=1), asset(3, before=2), asset(4, before=3), asset(5, account=OKX))
    world.trim("exchange:binance:desk", 4)
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(after={"exchange:binance:desk": after})
        assert await client.read_event() == {"type": "gap", "stream": "exchange:binance:desk"}
        snapshot = await client.read_event()
        assert snapshot["positions"] == {"exchange:binance:desk": 4}
        assert amounts(snapshot) == [("binance", "desk", "spot", "USDT", "4")]
        on.tell(asset(6, before=4))
        assert [frame["seq"] for frame in await client.until_pong()] == [5]


async def test_what_was_missed_of_an_account_is_replayed() -> None:
    async with stage(desks(asset(1), asset(2, before=1), paid(1), asset(3, before=2))) as on:
        client = await on.client()
        await client.subscribe(after={"exchange:binance:desk": 1}, filters=[{"asset": "USDT"}])
        assert [(await client.read_event())["seq"] for _ in range(3)] == [2, 3, 4]


async def test_heartbeats_carry_the_streams_of_accounts() -> None:
    async with stage(desks(asset(1)), limits=Limits(heartbeat_seconds=0.05)) as on:
        client = await on.client()
        await client.subscribe()
        beat = await client.read()
        assert beat["streams"]["exchange:binance:desk"] == {
            "block": None, "blockTime": None, "lagSeconds": 0.0, "state": "live", "seq": 1,
        }  # fmt: skip
        assert beat["streams"]["exchange:okx:desk"]["seq"] == 0


async def test_a_slow_reader_gets_the_newest_amount_of_each_asset_and_every_alert_and_funding() -> None:
    async with stage(desks(), limits=Limits(waiting_events=20)) as on:
        client = await on.client()
        await client.subscribe()
        # More than all buffers between us take, and nothing is read meanwhile.
        bulk = [asset(number, Slot("spot", f"X{number % 10}")) for number in range(40_000)]
        said: list[AccountFact] = [alert(), paid(1), alert(cleared=True), alert(), paid(2), position(1), position(2)]
        for start in range(0, len(bulk), 500):
            on.tell(*bulk[start : start + 500], project=False)
        on.tell(*said, project=False)
        on.tell(*bulk[-10:], project=False)
        got = await _until_seq(client, len(bulk) + len(said) + 10)
        (conflated,) = [frame for frame in got if frame["type"] == "conflated"]
        assert conflated["dropped"] > 0
        newest = {frame["data"]["asset"]: frame["data"]["total"] for frame in got if frame["type"] == "balance.updated"}
        assert newest == {f"X{number % 10}": str(number) for number in range(39_990, 40_000)}
        assert [frame["data"]["cleared"] for frame in got if frame["type"] == "account.alert"][-2:] == [True, False]
        assert [frame["data"]["id"] for frame in got if frame["type"] == "funding_fee"] == ["1", "2"]
        assert [frame["data"]["contracts"] for frame in got if frame["type"] == "position.updated"] == ["2"]


async def test_who_leaves_too_many_payments_unread_is_closed_and_gets_them_all_with_after() -> None:
    dropped: list[str] = []
    async with stage(desks(), limits=Limits(waiting_events=20), on_dropped=dropped.append) as on:
        other, client = await on.client(), await on.client()
        await other.subscribe(filters=[{"account": "hedge"}])
        await client.subscribe()
        # More than all buffers between us take, and nothing is read meanwhile.
        for start in range(0, 40_000, 500):
            on.tell(*(paid(number) for number in range(start, start + 500)), project=False)
        await until(lambda: on.hub.subscribers == 1)
        got = [orjson.loads(message.data) async for message in client.ws if message.type is WSMsgType.TEXT]
        assert (client.ws.close_code, dropped) == (1013, ["slow"])
        seen = [frame["seq"] for frame in got if "seq" in frame]
        assert seen == list(range(1, len(seen) + 1)), "what came before the end has no hole"

        again = await on.client()
        await again.subscribe(after={"exchange:binance:desk": len(seen)})
        rest = [frame["seq"] for frame in await _until_seq(again, 40_000) if "seq" in frame]
        assert rest == list(range(len(seen) + 1, 40_001))


@pytest.mark.parametrize("seed", range(3))
async def test_a_snapshot_is_exact_while_everything_moves(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - a script
    world = desks(asset(0), asset(0, BTC), asset(0, account=OKX))
    async with stage(world) as on:
        truth: dict[tuple[str, ...], int] = {}

        def move() -> None:
            account, slot = random.choice([(DESK, USDT), (DESK, BTC), (OKX, USDT)])
            total = random.randrange(10**6)
            truth[*account, *slot] = total
            on.tell(asset(total, slot, account, before=0), project=random.random() < 0.5)

        clients = [await on.client() for _ in range(3)]
        for client in clients:
            for _ in range(random.randrange(5)):
                move()
                await asyncio.sleep(0)
            await client.subscribe(snapshot=True)
            for _ in range(random.randrange(5)):
                move()
                await asyncio.sleep(0)
        for account, slot in ((DESK, USDT), (DESK, BTC), (OKX, USDT)):
            truth[*account, *slot] = 7
            on.tell(asset(7, slot, account, before=0))
        for client in clients:
            snapshot, *events = await client.until_pong()
            known = {one[:4]: one[4] for one in amounts(snapshot)}
            for event in events:
                data = event["data"]
                assert event["seq"] > snapshot["positions"].get(event["stream"], 0)
                known[data["exchange"], data["account"], data["wallet"], data["asset"]] = data["total"]
            assert known == {key: str(total) for key, total in truth.items()}


async def _until_seq(client: Client, seq: int) -> Sequence[dict[str, Any]]:
    frames = []
    while (frame := await client.read_event()).get("seq") != seq:
        frames.append(frame)
    return [*frames, frame]
