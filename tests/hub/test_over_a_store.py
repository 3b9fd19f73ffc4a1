"""The hub over the real repositories, on the memory store: what fakes claim is checked here."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from indexer.api.hub.hub import Hub
from indexer.domain.accounts.facts import AccountLive, AccountStale, AssetChanged
from indexer.domain.recording.records import fold
from indexer.domain.telling.facts import ChainFact
from repositories.store import Store, open_store
from tests.domain.accounts.builders import ACCOUNT, USDT
from tests.hub.fakes import World, finalized, reverted, updated
from tests.hub.stage import stage


class Stored(World):
    """The log and the balances of a store; all else as in the fake world."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.since = store.commits.since  # type: ignore[method-assign]  # the real one in the place of the fake
        self.positions = store.commits.positions  # type: ignore[method-assign]  # as above
        self.current = store.balances.current  # type: ignore[method-assign]  # as above

    async def append(self, *facts: ChainFact, projected: bool, hub: Hub | None = None) -> None:
        commit = self.commit(*facts)
        await self.store.commits.append(commit)
        if projected:
            await self.store.balances.project(fold([commit]))
            self.projected_seqs[commit.stream] = commit.last_seq
        if hub is not None:
            hub.deliver(commit)


async def test_snapshot_replay_and_live_events_over_real_repositories(tmp_path: Path) -> None:
    async with open_store("memory", "hub", tmp_path) as store:
        world = Stored(store)
        await world.append(updated(1, 10), updated(2, 2**256 - 1), projected=True)
        await world.append(updated(1, 11, chain=8453), projected=True)
        async with stage(world) as on:
            assert on.hub.positions() == {"chain:1": 2, "chain:8453": 1}
            await world.append(updated(1, 12), reverted(2, 3), finalized(1), projected=False, hub=on.hub)
            client = await on.client()
            await client.subscribe(snapshot=True, after={"chain:1": 1})
            snapshot = await client.read_event()
            assert snapshot["positions"] == {"chain:1": 5, "chain:8453": 1}
            assert _balances(snapshot) == {(1, 1): "12", (1, 2): "3", (8453, 1): "11"}
            assert [(await client.read_event())["seq"] for _ in range(4)] == [2, 3, 4, 5]
            await world.append(updated(1, 13), projected=True, hub=on.hub)
            assert [frame["seq"] for frame in await client.until_pong()] == [6]


async def test_a_balance_that_grew_beyond_28_digits_of_percent_is_read_from_the_log_like_any_other(
    tmp_path: Path,
) -> None:
    async with open_store("memory", "hub", tmp_path) as store:
        world = Stored(store)
        grown = AssetChanged(ACCOUNT, USDT, Decimal("1e-18"), Decimal(25000))
        await store.commits.append(world.commit(AccountStale(ACCOUNT, "silent"), grown, AccountLive(ACCOUNT, "back")))
        async with stage(world) as on:
            client = await on.client()
            await client.subscribe(after={"exchange:binance:main": 1})
            told, last = [await client.read_event() for _ in range(2)]
            assert told["data"]["changePercent"] == "2499999999999999999999900"
            assert (told["seq"], last["seq"]) == (2, 3)


def _balances(snapshot: Mapping[str, list[dict[str, str]]]) -> dict[tuple[int, int], str]:
    return {
        (int(item["chainId"]), int(item["solverAddress"], 16) - 0x5000): item["balance"] for item in snapshot["items"]
    }
