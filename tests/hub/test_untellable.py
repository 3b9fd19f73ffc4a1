"""An event of which no frame can be made, or a commit that cannot be told: subscribers hear of a gap, never nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import structlog.testing

from indexer.api.hub import hub as hubs
from indexer.domain.accounts.arrivals import Position
from indexer.domain.accounts.facts import PositionUpdated
from tests.hub.fakes import updated
from tests.hub.stage import stage
from tests.hub.test_accounts import DESK, asset, desks, paid

STREAM = "exchange:binance:desk"
NEVER = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
"""In UTC it is before all time."""
UNTELLABLE = PositionUpdated(DESK, Position("BTC/USDT:USDT", "flat", Decimal(0)), NEVER)


def positions(snapshot: Mapping[str, Any]) -> dict[str, int]:
    assert snapshot["type"] == "snapshot"
    return dict(snapshot["positions"])


async def test_a_live_subscriber_gets_what_came_before_it_then_a_gap_then_what_follows() -> None:
    async with stage(desks()) as on:
        client = await on.client()
        await client.subscribe()
        on.tell(paid(1), UNTELLABLE, asset(7))
        assert (await client.read_event())["seq"] == 1
        assert await client.read_event() == {"type": "gap", "stream": STREAM}
        snapshot = await client.read_event()
        assert positions(snapshot) == {STREAM: 3}
        assert [item["balance"] for item in snapshot["items"]] == ["7"]
        on.tell(paid(2))
        assert [frame["seq"] for frame in await client.until_pong()] == [4]


async def test_one_who_does_not_want_it_hears_of_no_gap() -> None:
    async with stage(desks()) as on:
        client = await on.client()
        await client.subscribe(filters=[{"type": "balance.updated"}, {"type": "funding_fee"}])
        other = await on.client()
        await other.subscribe(filters=[{"type": "position.updated"}])
        on.tell(UNTELLABLE, asset(7))
        assert (await other.read_event())["type"] == "gap"
        assert (await client.read_event())["seq"] == 2
        on.tell(updated(1, 5))
        assert [frame["seq"] for frame in await client.until_pong()] == [1]


async def test_one_who_comes_back_is_led_past_it_and_not_sent_away() -> None:
    world = desks(paid(1), paid(2), UNTELLABLE, paid(3))
    async with stage(world) as on:
        client = await on.client()
        with structlog.testing.capture_logs() as logs:
            await client.subscribe(after={STREAM: 1})
            frames = [await client.read_event() for _ in range(3)]
        assert [frame.get("seq") or frame["type"] for frame in frames] == [2, "gap", "snapshot"]
        assert positions(frames[2]) == {STREAM: 4}
        assert [(each["event"], each["seq"]) for each in logs] == [("event_unwritable", 3)]


async def test_one_in_a_commit_that_is_told_in_turns_is_a_gap_as_well() -> None:
    async with stage(desks()) as on:
        client = await on.client()
        await client.subscribe()
        many = hubs.MANY_EVENTS
        on.tell(*(paid(number) for number in range(many)), UNTELLABLE, paid(many))
        frames = [await client.read_event() for _ in range(many + 3)]
        kinds = [frame.get("seq") or frame["type"] for frame in frames]
        assert kinds == [*range(1, many + 1), many + 2, "gap", "snapshot"]
        assert positions(frames[-1]) == {STREAM: many + 2}


async def test_a_commit_whose_telling_fails_for_another_reason_is_told_from_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with stage(desks()) as on:
        client = await on.client()
        await client.subscribe(filters=[{"account": "desk"}])
        with monkeypatch.context() as broken, structlog.testing.capture_logs() as logs:
            broken.setattr(on.hub._interests, "matched", lambda _events: 1 / 0)
            on.tell(paid(1), paid(2))
        assert [(each["event"], each["first_seq"]) for each in logs] == [("commit_not_told", 1)]
        assert [(await client.read_event())["seq"] for _ in range(2)] == [1, 2]
        on.tell(paid(3))
        assert [frame["seq"] for frame in await client.until_pong()] == [3]


async def test_one_that_is_prepared_while_it_is_written_is_told_as_a_gap_later() -> None:
    async with stage(desks()) as on:
        client = await on.client()
        await client.subscribe()
        commit = on.world.commit(UNTELLABLE, asset(7))
        on.hub.prepare(commit)
        assert await client.until_pong() == []
        on.world.project()
        on.hub.deliver(commit)
        assert [(await client.read_event())["type"] for _ in range(2)] == ["gap", "snapshot"]
