"""Snapshots, replays and gaps: what a client gets before it is live, and that nothing is lost on the seam."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from indexer.api.hub import Limits
from indexer.domain.health.incidents import Incident
from indexer.domain.health.unread import Unread
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import ChainFact
from indexer.errors import StoreUnavailable
from tests.hub.fakes import TIME, USDC, World, finalized, reverted, solver, updated
from tests.hub.stage import Client, Stage, stage, until


def seqs(frames: list[dict[str, Any]], stream: str = "chain:1") -> list[int]:
    return [frame["seq"] for frame in frames if frame.get("stream") == stream and "seq" in frame]


async def events_until(client: Client, seq: int, stream: str = "chain:1") -> list[dict[str, Any]]:
    return await events_up_to(client, {stream: seq})


async def events_up_to(client: Client, wanted: Mapping[str, int]) -> list[dict[str, Any]]:
    """Until the last one of each of these streams was read."""
    frames: list[dict[str, Any]] = []
    missing = dict(wanted)
    while missing:
        frames.append(frame := await client.read_event())
        if missing.get(frame.get("stream", "")) == frame.get("seq", 0):
            del missing[frame["stream"]]
    return frames


def with_history(*facts: ChainFact) -> World:
    world = World()
    for fact in facts:
        world.commit(fact)
    world.project()
    return world


async def test_a_snapshot_has_the_items_of_get_balances_and_its_positions() -> None:
    world = with_history(updated(1, 5, number=90), updated(1, 7, number=120, previous=5), updated(2, 0, chain=8453))
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(snapshot=True)
        snapshot = await client.read_event()
        assert list(snapshot) == ["type", "id", "items", "positions"]
        assert snapshot["positions"] == {"chain:1": 2, "chain:8453": 1}
        assert [(item["chainId"], item["balance"], item["verifiedBlock"]) for item in snapshot["items"]] == [
            (1, "7", 120),
            (8453, "0", 200),
        ]
        assert set(snapshot["items"][0]) == {
            "chainId", "tokenAddress", "solverAddress", "balance", "amount", "decimals", "tokenSymbol", "tokenName",
            "blockNumber", "blockHash", "timestamp", "verifiedBlock",
        }  # fmt: skip


async def test_an_empty_service_has_an_empty_snapshot() -> None:
    async with stage() as on:
        client = await on.client()
        await client.subscribe(snapshot=True)
        assert await client.read_event() == {"type": "snapshot", "id": "1", "items": [], "positions": {}}


@pytest.mark.parametrize(
    ("filters", "wallets"),
    [
        ([{"solver": solver(1)}], [(1, 1), (8453, 1)]),
        ([{"chain": "base"}], [(8453, 1)]),
        ([{"chain": 1, "solver": solver(2)}, {"chain": 8453}], [(1, 2), (8453, 1)]),
        ([{"token": USDC}], []),
        ([{"type": "chain.finalized"}], []),
        ([{"type": "balance.updated", "solver": solver(2)}], [(1, 2)]),
        ([{"solver": solver(number)} for number in range(30)], [(1, 1), (1, 2), (8453, 1)]),
    ],
)
async def test_a_snapshot_holds_what_the_filters_cover(
    filters: list[dict[str, Any]], wallets: list[tuple[int, int]]
) -> None:
    world = with_history(updated(1, 1), updated(2, 2), updated(1, 3, chain=8453))
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(filters=filters, snapshot=True)
        items = (await client.read_event())["items"]
        assert [(item["chainId"], item["solverAddress"]) for item in items] == [
            (chain, solver(number)) for chain, number in wallets
        ]


async def test_a_snapshot_leaves_out_what_is_not_watched_any_more() -> None:
    world = with_history(updated(1, 1), updated(60, 2))
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(snapshot=True)
        assert [item["solverAddress"] for item in (await client.read_event())["items"]] == [solver(1)]


async def test_a_balance_that_is_due_to_be_read_again_is_known_to_hold_at_its_own_block_only() -> None:
    fact = updated(1, 5, number=90)
    world = with_history(fact)
    world.unread = frozenset({fact.holding})
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(snapshot=True)
        assert [item["verifiedBlock"] for item in (await client.read_event())["items"]] == [90]


async def test_a_balance_that_its_token_does_not_tell_holds_up_to_where_it_was_known() -> None:
    fact = updated(1, 5, number=90)
    world = with_history(fact, updated(2, 5, number=90))
    world.silent = Unread({fact.holding: 97}, {fact.holding.token: Incident(98, "paused", TIME)})
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(snapshot=True)
        assert [item["verifiedBlock"] for item in (await client.read_event())["items"]] == [97, 100]


async def test_a_snapshot_of_thousands_is_whole() -> None:
    world = World(solvers=2_500)
    world.commit(*(updated(number, number) for number in range(2_500)))
    world.project()
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(snapshot=True)
        items = (await client.read_event())["items"]
        assert {item["balance"] for item in items} == {str(number) for number in range(2_500)}


async def test_what_is_told_but_not_projected_is_in_the_snapshot() -> None:
    async with stage(with_history(updated(1, 1), updated(2, 2))) as on:
        on.tell(updated(1, 10), reverted(2, 20), project=False)
        client = await on.client()
        await client.subscribe(snapshot=True)
        snapshot = await client.read_event()
        assert snapshot["positions"] == {"chain:1": 4}
        assert [item["balance"] for item in snapshot["items"]] == ["10", "20"]


async def test_a_snapshot_waits_until_what_it_saw_was_delivered() -> None:
    async with stage(with_history(updated(1, 1))) as on:
        early = on.world.commit(updated(1, 2))
        on.world.project()  # ahead of what was told
        client = await on.client()
        await client.subscribe(snapshot=True)
        assert await client.until_pong() == []
        on.hub.deliver(early)
        snapshot = await client.read_event()
        assert (snapshot["items"][0]["balance"], snapshot["positions"]) == ("2", {"chain:1": 2})
        assert await client.until_pong() == []


async def test_events_told_while_a_snapshot_is_taken_follow_it() -> None:
    async with stage(with_history(updated(1, 1))) as on:
        on.tell(updated(1, 2), project=False)
        on.world.reading = asyncio.Event()
        client = await on.client()
        await client.subscribe(snapshot=True)
        await until(lambda: bool(on.world.pages))
        on.tell(updated(1, 3), project=False)
        on.world.reading.set()
        snapshot = await client.read_event()
        assert (snapshot["items"][0]["balance"], snapshot["positions"]) == ("2", {"chain:1": 2})
        assert [frame["data"]["newBalance"] for frame in await events_until(client, 3)] == ["3"]


@pytest.mark.parametrize("after", [0, 1, 7, 24, 25])
async def test_what_was_missed_is_replayed_then_comes_what_is_live(after: int) -> None:
    world = with_history(*(updated(number % 5, number) for number in range(25)))
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(after={"chain:1": after})
        on.tell(updated(1, 1))
        on.tell(updated(1, 1, chain=8453))
        frames = await events_until(client, 1, "chain:8453")
        assert seqs(frames) == list(range(after + 1, 27))


async def test_a_replay_begins_in_the_middle_of_a_commit() -> None:
    world = World()
    world.commit(*(updated(number, number) for number in range(10)))
    world.commit(finalized(1))
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(after={"chain:1": 7})
        assert seqs(await events_until(client, 11)) == [8, 9, 10, 11]


async def test_a_replay_is_filtered_and_of_many_streams_each_in_order() -> None:
    facts = [updated(number % 3, number, chain=chain) for number in range(300) for chain in (1, 8453)]
    async with stage(with_history(*facts)) as on:
        client = await on.client()
        await client.subscribe(filters=[{"solver": solver(1)}], after={"chain:8453": 0, "chain:1": 150})
        on.tell(updated(1, 1))
        frames = await events_up_to(client, {"chain:1": 301, "chain:8453": 299})
        assert seqs(frames) == [*range(152, 301, 3), 301]
        assert seqs(frames, "chain:8453") == list(range(2, 301, 3))


async def test_streams_that_after_does_not_name_start_live_and_lose_nothing_meanwhile() -> None:
    world = with_history(*(updated(1, number) for number in range(100)), updated(1, 0, chain=8453))
    async with stage(world) as on:
        client = await on.client()
        on.world.reading = asyncio.Event()
        await client.subscribe(after={"chain:1": 0})
        await until(lambda: bool(on.world.pages))
        on.tell(updated(2, 1, chain=8453))
        on.tell(updated(2, 2, chain=8453))
        on.world.reading.set()
        frames = await events_until(client, 3, "chain:8453")
        assert seqs(frames) == list(range(1, 101))
        assert seqs(frames, "chain:8453") == [2, 3]


async def test_a_stream_that_begins_during_a_replay_is_told_from_its_first_event() -> None:
    async with stage(with_history(updated(1, 1))) as on:
        client = await on.client()
        on.world.reading = asyncio.Event()
        await client.subscribe(after={"chain:1": 0})
        await until(lambda: bool(on.world.pages))
        on.tell(updated(2, 1, chain=8453))
        on.world.reading.set()
        assert seqs(await events_until(client, 1, "chain:8453"), "chain:8453") == [1]


async def test_snapshot_and_after_come_in_the_documented_order() -> None:
    async with stage(with_history(*(updated(1, number) for number in range(1, 6)))) as on:
        client = await on.client()
        await client.subscribe(snapshot=True, after={"chain:1": 3})
        frames = await events_until(client, 5)
        assert [frame["type"] for frame in frames] == ["snapshot", "balance.updated", "balance.updated"]
        assert frames[0]["positions"] == {"chain:1": 5}
        on.tell(updated(1, 9))
        assert seqs(await client.until_pong()) == [6]


@pytest.mark.parametrize(
    ("after", "reason"), [(2, "older than what is kept"), (11, "newer than what is"), (2**62, "newer by far")]
)
async def test_a_gap_is_told_with_a_snapshot_of_that_stream(after: int, reason: str) -> None:
    world = with_history(*(updated(1, number) for number in range(10)), updated(2, 1, chain=8453))
    world.trim("chain:1", 5)
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(after={"chain:1": after})
        gap, snapshot = await client.read_event(), await client.read_event()
        assert gap == {"type": "gap", "stream": "chain:1"}, reason
        assert (snapshot["type"], snapshot["id"], snapshot["positions"]) == ("snapshot", "1", {"chain:1": 10})
        assert [(item["chainId"], item["balance"]) for item in snapshot["items"]] == [(1, "9")]
        on.tell(updated(1, 11))
        assert seqs(await client.until_pong()) == [11]


async def test_an_after_at_the_edge_of_what_is_kept_is_no_gap() -> None:
    world = with_history(*(updated(1, number) for number in range(10)))
    world.trim("chain:1", 5)
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(after={"chain:1": 4})
        assert seqs(await events_until(client, 10)) == [5, 6, 7, 8, 9, 10]


async def test_zero_means_everything_that_is_kept() -> None:
    world = with_history(*(updated(1, number) for number in range(10)))
    world.trim("chain:1", 8)
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(after={"chain:1": 0})
        assert seqs(await events_until(client, 10)) == [8, 9, 10]


async def test_zero_of_a_stream_without_events_is_no_gap_but_more_is() -> None:
    async with stage() as on:
        client = await on.client()
        await client.subscribe("1", after={"chain:1": 0, "exchange:binance:main": 0})
        assert await client.until_pong() == []
        await client.subscribe("2", after={"exchange:binance:main": 4})
        assert await client.read_event() == {"type": "gap", "stream": "exchange:binance:main"}
        assert (await client.read_event())["positions"] == {"exchange:binance:main": 0}


async def test_a_log_that_is_trimmed_away_during_a_replay_is_a_gap() -> None:
    async with stage(with_history(*(updated(1, number) for number in range(10)))) as on:
        on.world.commits["chain:1"] = []
        client = await on.client()
        await client.subscribe(after={"chain:1": 4})
        assert (await client.read_event())["type"] == "gap"
        assert (await client.read_event())["positions"] == {"chain:1": 10}


async def test_a_client_with_a_live_subscription_gets_new_events_once_while_another_catches_up() -> None:
    async with stage(with_history(*(updated(1, number) for number in range(30)))) as on:
        client = await on.client()
        await client.subscribe("live")
        on.world.reading = asyncio.Event()
        await client.subscribe("late", after={"chain:1": 20})
        await until(lambda: bool(on.world.pages))
        on.tell(updated(1, 100))
        assert seqs(await client.until_pong()) == [31]
        on.world.reading.set()
        assert seqs(await events_until(client, 30)) == list(range(21, 31))
        on.tell(updated(1, 101))
        assert seqs(await client.until_pong()) == [32]


async def test_other_requests_are_answered_during_a_replay_and_it_can_be_ended() -> None:
    async with stage(with_history(updated(1, 1))) as on:
        on.world.reading = asyncio.Event()
        client = await on.client()
        await client.subscribe(after={"chain:1": 0})
        await until(lambda: bool(on.world.pages))
        assert await client.until_pong() == []
        await client.send(op="unsubscribe", id="1")
        await client.until_pong()
        on.world.reading.set()
        on.tell(updated(1, 2))
        assert await client.until_pong() == []


async def test_heartbeats_do_not_claim_what_is_still_to_be_replayed() -> None:
    async with stage(with_history(*(updated(1, n) for n in range(9))), limits=Limits(heartbeat_seconds=0.02)) as on:
        on.world.reading = asyncio.Event()
        client = await on.client()
        await client.subscribe(after={"chain:1": 4})
        assert (await client.read())["streams"]["chain:1"]["seq"] == 4
        on.world.reading.set()
        await events_until(client, 9)
        while (await client.read())["streams"]["chain:1"]["seq"] != 9:
            pass


async def test_a_store_that_fails_ends_the_subscription_with_a_problem_and_nothing_else() -> None:
    async with stage(with_history(updated(1, 1))) as on:
        on.world.error = StoreUnavailable("mongod is gone, at mongodb://user:secret@host")
        client = await on.client()
        await client.subscribe("1", snapshot=True)
        answer = await client.read_event()
        assert (answer["type"], answer["id"], answer["problem"]["status"]) == ("error", "1", 503)
        assert "secret" not in str(answer)
        on.world.error = None
        await client.subscribe("1", snapshot=True)
        assert (await client.read_event())["type"] == "snapshot"


async def test_what_the_log_does_not_show_yet_is_no_end_of_it_for_who_wants_all() -> None:
    async with stage(with_history(updated(1, 1), updated(1, 2))) as on:
        unseen, on.world.commits["chain:1"] = on.world.commits["chain:1"], []
        client = await on.client()
        await client.subscribe("1", after={"chain:1": 0})
        assert (await client.read())["problem"]["status"] == 503
        on.world.commits["chain:1"] = unseen
        await client.subscribe("1", after={"chain:1": 0})
        assert seqs(await events_until(client, 2)) == [1, 2]


async def test_a_mistake_of_ours_ends_one_connection_with_1011_and_no_other() -> None:
    async with stage(with_history(updated(1, 1))) as on:
        other = await on.client()
        await other.subscribe()
        on.world.error = ValueError("a mistake")
        client = await on.client()
        await client.subscribe("1", after={"chain:1": 0})
        assert await client.close_code() == 1011
        on.tell(updated(1, 2))
        assert seqs(await other.until_pong()) == [2]


async def test_a_client_that_leaves_during_a_replay_leaves_nothing_behind() -> None:
    async with stage(with_history(updated(1, 1))) as on:
        on.world.reading = asyncio.Event()
        client = await on.client()
        await client.subscribe(after={"chain:1": 0})
        await until(lambda: bool(on.world.pages))
        await client.ws.close()
        await until(lambda: on.hub.connections == 0)
        assert on.hub.subscribers == 0
        assert len(asyncio.all_tasks()) <= 6


async def test_a_replay_of_big_commits_asks_for_smaller_pages() -> None:
    world = World()
    for _ in range(20):
        world.commit(*(updated(number % 50, number) for number in range(400)))
    async with stage(world) as on:
        client = await on.client()
        await client.subscribe(after={"chain:1": 0})
        assert seqs(await events_until(client, 8_000)) == list(range(1, 8_001))
        assert min(on.world.pages) == 1


@pytest.mark.parametrize("seed", range(8))
async def test_a_snapshot_is_exact_while_everything_moves(seed: int) -> None:
    """Events above `positions` over the items give what the log says, however projection and delivery interleave."""
    random = Random(seed)  # noqa: S311 - a script to replay, no secret
    async with stage(with_history(*(updated(number, number) for number in range(20)))) as on:
        client = await on.client()
        stop = asyncio.create_task(_traffic(on, random))
        await client.subscribe(snapshot=True)
        snapshot = await client.read_event()
        held = {(item["chainId"], item["solverAddress"]): item["balance"] for item in snapshot["items"]}
        await stop
        on.tell(finalized(9))
        seen = dict(snapshot["positions"])
        ahead = {stream: seq for stream, seq in on.hub.positions().items() if seq > seen.get(stream, 0)}
        for frame in await events_up_to(client, ahead):
            assert frame["seq"] == seen.get(frame["stream"], 0) + 1
            seen[frame["stream"]] = frame["seq"]
            if "solverAddress" in frame["data"]:
                data = frame["data"]
                held[data["chainId"], data["solverAddress"]] = data["newBalance"]
        on.world.project()
        assert held == {(row.chain_id, row.holding.solver): str(row.balance) for row in on.world.rows.values()}


async def _traffic(on: Stage, random: Random) -> None:
    """Commits that are projected before, after, or long after they are told."""
    waiting: list[Commit] = []
    for turn in range(120):
        chain = random.choice((1, 1, 8453))
        facts = [updated(random.randrange(30), turn * 10 + n, chain=chain) for n in range(random.randint(1, 4))]
        waiting.append(on.world.commit(*facts))
        if random.random() < 0.5:
            on.world.project()
        while waiting and random.random() < 0.8:
            on.hub.deliver(waiting.pop(0))
        await asyncio.sleep(0)
    for commit in waiting:
        on.hub.deliver(commit)
