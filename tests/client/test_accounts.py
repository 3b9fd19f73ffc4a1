"""Following exchange accounts through lost connections, against a real hub."""

from __future__ import annotations

from contextlib import aclosing

from indexer.client import Event, Gap, Snapshot
from indexer.client.following import Filter
from tests.client.test_following import BEATING, client_of, cut, seqs, take
from tests.hub.stage import stage
from tests.hub.test_accounts import DESK, OKX, alert, asset, desks, paid, position

STREAM = "exchange:binance:desk"


async def test_an_account_is_resumed_after_a_number_without_loss_or_repetition() -> None:
    world = desks(asset(1), asset(2, before=1), asset(3, before=2), asset(9, account=OKX))
    async with stage(world, limits=BEATING) as on, client_of(on.url) as client:
        desk: Filter = {"exchange": "binance", "account": "desk"}
        async with aclosing(client.events(desk, after={STREAM: 1}, snapshot=True)) as messages:
            assert seqs(await take(messages, 3), STREAM) == [2, 3]
            lost = set(on.hub._connections)
            cut(on)
            on.tell(asset(4, before=3), alert(), paid(1))
            on.tell(asset(10, account=OKX, before=9))
            assert seqs(await take(messages, 3), STREAM) == [4, 5, 6]
            assert not lost & set(on.hub._connections)
            on.tell(position(1), account_of_nobody := asset(5, before=4))
            events = await take(messages, 2)
            assert seqs(events, STREAM) == [7, 8]
            assert isinstance(events[1], Event)
            assert events[1].data["newBalance"] == str(account_of_nobody.held.amounts.total)


async def test_an_account_that_began_while_the_connection_was_lost_is_followed_from_its_first_event() -> None:
    async with (
        stage(desks(asset(1)), limits=BEATING) as on,
        client_of(on.url) as client,
        aclosing(client.events(snapshot=True)) as messages,
    ):
        [snapshot] = await take(messages, 1)
        assert isinstance(snapshot, Snapshot)
        assert [item["asset"] for item in snapshot.items] == ["USDT"]
        cut(on)
        on.tell(asset(1, account=OKX))
        on.tell(asset(2, account=OKX, before=1))
        assert seqs(await take(messages, 2), "exchange:okx:desk") == [1, 2]


async def test_what_is_not_kept_of_an_account_is_a_gap_and_a_snapshot_of_it() -> None:
    world = desks(*(asset(number) for number in range(1, 6)), asset(7, account=OKX))
    world.trim(STREAM, 4)
    async with (
        stage(world) as on,
        client_of(on.url) as client,
        aclosing(client.events({"account": "desk"}, after={STREAM: 1})) as messages,
    ):
        gap, snapshot = await take(messages, 2)
        assert gap == Gap(STREAM)
        assert isinstance(snapshot, Snapshot)
        assert (snapshot.positions, [item["balance"] for item in snapshot.items]) == ({STREAM: 5}, ["5"])
        on.tell(asset(6, before=5, account=DESK))
        assert seqs(await take(messages, 1), STREAM) == [6]
