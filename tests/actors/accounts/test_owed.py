"""A read that is owed since the stream was lost: until it is there, amounts are only the last that were known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.arrivals import Snapshot, StreamOpened
from indexer.domain.accounts.facts import AccountLive, AccountStale
from indexer.domain.health.status import AccountStatus
from tests.actors.accounts.fakes import FakeVenue, Stage
from tests.sim.clock import play


def _account(stage: Stage) -> AccountStatus:
    assert stage.status.account is not None
    return stage.status.account


def _reconnect(venue: FakeVenue) -> None:
    venue.lose_stream()
    venue.reopen("again")


class _Crowded(FakeVenue):
    """Others ask for spot wallets as well."""

    def __init__(self) -> None:
        super().__init__(wallets=("spot", "earn"), BTC="1")
        self.has_turn = asyncio.Event()
        self.has_turn.set()

    async def read(self, wallet: Wallet, presses: Callable[[], bool]) -> Snapshot:
        if wallet == "spot":
            await self.has_turn.wait()
        return await super().read(wallet, presses)


def test_a_quick_reconnect_makes_nothing_stale() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(40)
            shown = len(stage.shown)
            stage.venue.delay = 1.5
            _reconnect(stage.venue)
            await asyncio.sleep(10)
            since = [(one.state, one.account and one.account.stale) for one in stage.shown[shown:]]
            assert set(since) == {("live", ())}

    play(story())


def test_amounts_are_stale_while_the_read_after_a_reconnect_is_owed() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(40)
            stage.venue.turn = 12
            _reconnect(stage.venue)
            await asyncio.sleep(3)
            assert _account(stage).stale == ("spot",)
            assert (stage.state, stage.status.ready) == ("catching_up", False)
            assert stage.status.last_error == "the socket closed"
            await asyncio.sleep(10)
            assert _account(stage).stale == ()
            assert stage.shown[-1].state == "live"
            assert stage.shown[-1].last_error is None
            assert not any(isinstance(fact, AccountStale) for fact in stage.facts)

    play(story())


def test_a_read_that_is_owed_for_long_is_told_and_told_to_be_over() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(40)
            stage.venue.turn = 40
            _reconnect(stage.venue)
            await asyncio.sleep(20)
            assert stage.state == "stale"
            await asyncio.sleep(30)
            assert stage.state == "live"
            told = [type(fact) for fact in stage.facts if isinstance(fact, AccountStale | AccountLive)]
            assert told == [AccountStale, AccountLive]

    play(story())


def test_frames_of_the_new_stream_do_not_say_what_was_missed() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1", USDT="5")) as stage:
            await asyncio.sleep(40)
            stage.venue.turn = 12
            _reconnect(stage.venue)
            for _ in range(8):
                await asyncio.sleep(1)
                stage.venue.frame(BTC="2")
            assert _account(stage).stale == ("spot",)

    play(story())


def test_an_answer_from_before_the_loss_is_not_the_one_that_is_owed() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(40)
            stage.venue.delay = 4
            stage.venue.frame(BTC="2")  # which is confirmed by a read a second later
            await asyncio.sleep(2)
            stage.venue.turn = 12
            _reconnect(stage.venue)
            await asyncio.sleep(5)
            assert _account(stage).stale == ("spot",)

    play(story())


def test_a_wallet_that_no_stream_tells_of_stays_good_and_the_account_answers() -> None:
    async def story() -> None:
        venue = _Crowded()
        venue.streamed = frozenset({"spot"})
        async with Stage(venue) as stage:
            await asyncio.sleep(40)
            venue.has_turn.clear()
            _reconnect(venue)
            await asyncio.sleep(30)
            assert _account(stage).stale == ("spot",)
            assert stage.state == "catching_up"
            why = "the spot wallet is to be read since the stream was lost: the socket closed"
            assert stage.status.last_error == why
            venue.has_turn.set()
            await asyncio.sleep(1)
            assert _account(stage).stale == ()
            assert stage.shown[-1].state == "live"
            assert stage.shown[-1].last_error is None
            assert not any(isinstance(fact, AccountStale) for fact in stage.facts), "one wallet alone"

    play(story())


def test_a_read_that_is_owed_presses_and_one_that_is_usual_does_not() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(130)
            stage.venue.turn = 3
            stage.venue.frame(BTC="2")
            await asyncio.sleep(2)  # by now a read that confirms the frame waits for its turn
            assert not stage.venue.presses()
            _reconnect(stage.venue)
            await asyncio.sleep(0.1)
            assert stage.venue.presses()
            await asyncio.sleep(10)
            assert not stage.venue.presses()

    play(story())


def test_a_read_that_somebody_waits_for_presses() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(130)
            stage.venue.turn = 3
            waiting = asyncio.create_task(stage.refresh())
            await asyncio.sleep(0.1)
            assert stage.venue.presses()
            await waiting
            assert not stage.venue.presses()

    play(story())


def test_a_stream_is_not_blamed_for_what_happened_before_it_opened() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(40)
            stage.venue.turn = 3
            stage.venue.lose_stream()
            stage.venue.frame(silent=True, BTC="2")
            stage.venue.say(StreamOpened(stage.venue.streamed))
            await asyncio.sleep(20)
            assert stage.told == [("BTC", "1"), ("BTC", "2")]
            assert stage.venue.reopened == []
            assert stage.alerts == []
            stage.venue.frame(silent=True, BTC="3")
            await asyncio.sleep(20)
            assert stage.told[-1] == ("BTC", "3")
            assert stage.venue.reopened == ["the stream did not tell that BTC changed"]

    play(story())


def test_a_read_that_waited_for_its_turn_answers_who_asked_meanwhile() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(130)
            stage.venue.turn = 3
            stage.venue.frame(BTC="2")
            await asyncio.sleep(2)  # by now a read that confirms the frame waits for its turn
            before, began = len(stage.venue.reads), asyncio.get_running_loop().time()
            await stage.refresh()
            assert asyncio.get_running_loop().time() - began < 3
            await asyncio.sleep(10)
            assert len(stage.venue.reads) == before + 1

    play(story())


def test_a_read_that_had_left_before_somebody_asked_is_no_answer() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(130)
            stage.venue.delay = 3
            stage.venue.frame(BTC="2")
            await asyncio.sleep(2)
            before = len(stage.venue.reads)
            await stage.refresh()
            assert len(stage.venue.reads) == before + 1, "one more"

    play(story())
