from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
from structlog.testing import capture_logs

from indexer.clients.evm import connect
from indexer.clients.evm.hearing.heads import HeadFeed
from indexer.clients.evm.judging.rhythm import Rhythm
from indexer.clients.evm.node import EvmNode
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed
from indexer.domain.balances import Watch
from indexer.domain.chain import Address, Holding
from indexer.domain.following.feed import FeedEvent, HeadHeard, HeadsBack, HeadsLost
from tests.clients.evm.builders import eventually
from tests.fixtures.chain import wallets
from tests.fixtures.proxy import Proxy

pytestmark = pytest.mark.node


@dataclass
class Ears:
    """A feed at work, and all that it said."""

    node: EvmNode
    feed: HeadFeed
    said: list[FeedEvent] = field(default_factory=list)

    def heads(self, source: str | None = None) -> list[int]:
        return [
            event.head.number for event in self.said if isinstance(event, HeadHeard) and source in (None, event.source)
        ]

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.said if not isinstance(event, HeadHeard)]

    def has_polled(self, number: int) -> bool:
        return number in self.heads("poll")

    def has_heard(self, number: int) -> bool:
        return number in self.heads()

    def hints_are_for(self, watch: Watch) -> bool:
        return self.feed.ear.hinting == watch

    @property
    def is_live(self) -> bool:
        return self.feed.ear.live is not None


@asynccontextmanager
async def listening(
    rpc_urls: Sequence[str],
    ws_urls: Sequence[str] = (),
    *,
    watch: Watch | None = None,
    poll_seconds: float | None = 0.05,
    silence_seconds: float = 0.3,
    chain_id: int | None = None,
) -> AsyncIterator[Ears]:
    node, feed = connect(chain="test", chain_id=chain_id, rpc_urls=rpc_urls, ws_urls=ws_urls, poll_seconds=poll_seconds)
    feed._rhythm = Rhythm(silence_seconds)
    ears = Ears(node, feed)
    if watch is not None:
        feed.watch(watch)
    task = asyncio.create_task(feed.run(ears.said.append))
    try:
        yield ears
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await node.close()


async def test_every_head_is_heard_over_the_websocket(anvil: Anvil) -> None:
    async with listening([anvil.http_url], [anvil.ws_url]) as ears:
        await eventually(lambda: ears.is_live)
        for _ in range(30):
            await anvil.mine()
        await eventually(lambda: ears.heads()[-1:] == [30])
    assert ears.heads() == list(range(31))
    assert ears.heads("ws")[-30:] == list(range(1, 31))


async def test_the_newest_head_is_told_at_once_so_that_gaps_are_seen(anvil: Anvil) -> None:
    await anvil.mine(7)
    async with listening([anvil.http_url], [anvil.ws_url]) as ears:
        await eventually(ears.heads)
    assert ears.heads() == [7]


async def test_without_a_websocket_heads_are_polled(anvil: Anvil) -> None:
    async with listening([anvil.http_url]) as ears:
        await eventually(ears.heads)
        for number in (1, 2, 3):
            await anvil.mine()
            await eventually(partial(ears.has_polled, number))
    assert ears.heads() == [0, 1, 2, 3]


async def test_a_reorg_s_heads_are_heard(anvil: Anvil) -> None:
    async with listening([anvil.http_url], [anvil.ws_url]) as ears:
        await eventually(lambda: ears.is_live)
        await anvil.mine(3)
        await eventually(lambda: 3 in ears.heads())
        await anvil.reorg(2)
        newest = (await anvil.block())["hash"]
        await eventually(lambda: isinstance(ears.said[-1], HeadHeard) and ears.said[-1].head.hash == newest)
    assert ears.heads()[-1] == 3
    assert ears.kinds() == []


async def test_a_cut_socket_is_opened_again_and_the_gap_shows(anvil: Anvil) -> None:
    async with Proxy(anvil.port) as proxy, listening([anvil.http_url], [proxy.ws_url], poll_seconds=30) as ears:
        await eventually(lambda: ears.is_live)
        proxy.cut()
        await anvil.mine(5)
        await eventually(lambda: 5 in ears.heads())
        await eventually(lambda: ears.is_live)
        await anvil.mine()
        await eventually(lambda: 6 in ears.heads("ws"))
    assert ears.kinds() == []
    assert ears.node.counts.reconnects == 1


async def test_a_half_closed_socket_is_opened_again(anvil: Anvil) -> None:
    async with Proxy(anvil.port) as proxy, listening([anvil.http_url], [proxy.ws_url], poll_seconds=30) as ears:
        await eventually(lambda: ears.is_live)
        proxy.half_close()
        await anvil.mine(2)
        await eventually(lambda: 2 in ears.heads(), seconds=5)
        await eventually(lambda: ears.is_live)
        await anvil.mine()
        await eventually(lambda: 3 in ears.heads("ws"))
    assert ears.kinds() == []


async def test_a_silent_socket_is_found_out_by_a_newer_head_elsewhere(anvil: Anvil) -> None:
    async with Proxy(anvil.port) as proxy, listening([anvil.http_url], [proxy.ws_url]) as ears:
        await eventually(lambda: ears.is_live)
        proxy.mute()
        await anvil.mine()
        await eventually(lambda: 1 in ears.heads("poll"), seconds=5)
        await anvil.mine()
        await eventually(lambda: 2 in ears.heads("poll"), seconds=5)
        proxy.unmute()
        number = 2
        while not ears.is_live:
            number += 1
            await anvil.mine()
            await eventually(partial(ears.has_heard, number))
            await asyncio.sleep(0.05)
            assert number < 100
        await anvil.mine()
        await eventually(lambda: number + 1 in ears.heads("ws"))
    assert ears.heads() == list(range(number + 2))
    assert ears.kinds() == []


async def test_a_chain_that_mines_nothing_is_left_in_peace(anvil: Anvil) -> None:
    async with Proxy(anvil.port) as proxy, listening([anvil.http_url], [proxy.ws_url]) as ears:
        await eventually(lambda: ears.is_live)
        asked = ears.node.counts.trips
        await eventually(lambda: ears.node.counts.trips >= asked + 3)
        assert ears.is_live
        assert proxy.connections == 1
    assert ears.kinds() == []


async def test_heads_are_lost_and_back_once_each() -> None:
    anvil = Anvil()
    await anvil.start()
    with capture_logs() as lines:
        async with listening([anvil.http_url], [anvil.ws_url]) as ears:
            await eventually(lambda: ears.is_live)
            again = Anvil(port=anvil.port)
            await anvil.stop()
            await eventually(lambda: ears.kinds() == ["HeadsLost"], seconds=15)
            await again.start()
            await again.mine(2)
            await eventually(lambda: ears.kinds() == ["HeadsLost", "HeadsBack"], seconds=15)
            await again.stop()
    assert len([line for line in lines if line["log_level"] != "debug"]) <= 8


async def test_a_node_that_is_down_at_the_start_is_waited_for() -> None:
    anvil = Anvil()
    await anvil.start()
    await anvil.stop()
    anvil = Anvil(port=anvil.port)
    async with listening([anvil.http_url], [anvil.ws_url]) as ears:
        await eventually(lambda: any(isinstance(event, HeadsLost) for event in ears.said), seconds=15)
        await anvil.start()
        await eventually(ears.heads, seconds=15)
        assert isinstance(ears.said[1], HeadsBack)
        await anvil.stop()


async def test_with_http_gone_the_websocket_alone_goes_on(anvil: Anvil) -> None:
    async with Proxy(anvil.port) as proxy, listening([proxy.http_url], [anvil.ws_url], silence_seconds=30) as ears:
        await eventually(lambda: ears.is_live)
        await proxy.stop()
        await anvil.mine(3)
        await eventually(lambda: 3 in ears.heads("ws"))
    assert "HeadsLost" not in ears.kinds()


async def test_the_second_websocket_serves_when_the_first_cannot(anvil: Anvil) -> None:
    async with Proxy(anvil.port) as proxy:
        dead = proxy.ws_url
    async with listening([anvil.http_url], [dead, anvil.ws_url]) as ears:
        await eventually(lambda: ears.is_live)
        await anvil.mine()
        await eventually(lambda: 1 in ears.heads("ws"))


async def test_a_websocket_of_another_chain_is_not_believed(anvil: Anvil) -> None:
    async with (
        Anvil(chain_id=5) as stranger,
        listening([anvil.http_url], [stranger.ws_url], chain_id=anvil.chain_id) as ears,
    ):
        await stranger.mine(50)
        await anvil.mine(2)
        await eventually(lambda: 2 in ears.heads("poll"))
        await eventually(lambda: not ears.is_live)
        await anvil.mine()
        await eventually(lambda: 3 in ears.heads("poll"))
    assert (ears.heads("ws"), max(ears.heads())) == ([], 3)


async def test_logs_of_watched_wallets_are_hints_for_their_block(
    anvil: Anvil, token: Deployed, wallet: Address
) -> None:
    other = wallets(2)[1]
    watch = Watch(frozenset([token.address]), frozenset([wallet]))
    async with listening([anvil.http_url], [anvil.ws_url], watch=watch) as ears:
        await eventually(lambda: ears.hints_are_for(watch))
        await token.send("mint", other, 100)
        await token.send("move", other, wallet, 7)
        await anvil.mine()
        await eventually(lambda: ears.node.counts.hints == 1)
        head = await ears.node.newest()
        before = ears.node.counts.trips
        (view,) = await ears.node.look([head], watch)
        assert ears.node.counts.trips == before + 1
        assert view.readings.values[Holding(token.address, wallet)] == 7


async def test_a_changed_watch_is_subscribed_to_without_missing_a_head(
    anvil: Anvil, token: Deployed, wallet: Address
) -> None:
    first, second, third = (Watch(frozenset([token.address]), frozenset([one])) for one in wallets(3))
    async with listening([anvil.http_url], [anvil.ws_url], watch=first) as ears:
        await eventually(lambda: ears.is_live)
        for number in range(2, 42):
            ears.feed.watch(second if number % 2 else first)
            await anvil.mine()
        await eventually(lambda: 41 in ears.heads())
        assert ears.heads()[-40:] == list(range(2, 42))
        ears.feed.watch(third)
        await eventually(lambda: ears.hints_are_for(third))
        before = ears.node.counts.hints
        await token.send("mint", wallets(3)[2], 1)
        await anvil.mine()
        await eventually(lambda: ears.node.counts.hints == before + 1)
        hints = ears.node.counts.hints
        await token.send("mint", wallet, 1)
        await anvil.mine()
        number = int((await anvil.block())["number"], 16)
        await eventually(lambda: number in ears.heads())
    assert ears.node.counts.hints == hints


async def test_a_burst_of_five_thousand_logs_drops_no_head(anvil: Anvil, token: Deployed) -> None:
    many = wallets(5_000)
    watch = Watch(frozenset([token.address]), frozenset(many))
    async with listening([anvil.http_url], [anvil.ws_url], watch=watch, silence_seconds=30) as ears:
        await eventually(lambda: ears.hints_are_for(watch))
        await token.send("mintMany", many, 3, gas=1_000_000_000)
        await anvil.mine(5)
        await eventually(lambda: 6 in ears.heads())
        await eventually(lambda: ears.node.counts.hints == 5_000)
    assert ears.heads() == [1, 2, 3, 4, 5, 6]
