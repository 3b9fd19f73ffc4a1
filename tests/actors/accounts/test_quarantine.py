"""An empty answer that is not believed is no read: not for what is stale, not for who waits, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from indexer.domain.accounts.amounts import Amounts
from indexer.domain.accounts.facts import AccountLive, AccountStale
from indexer.domain.health.status import AccountStatus
from indexer.errors import GivenUp
from tests.actors.accounts.fakes import FakeVenue, Stage, amount
from tests.sim.clock import play

EMPTY: dict[str, Amounts] = {}


def _account(stage: Stage) -> AccountStatus:
    assert stage.status.account is not None
    return stage.status.account


def _well(stage: Stage) -> bool:
    return stage.state == "live" and stage.status.last_error is None and not _account(stage).stale


def test_an_empty_answer_is_not_the_one_that_is_owed_since_the_stream_was_lost() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(40)
            stage.venue.answers = [EMPTY] * 100
            stage.venue.lose_stream()
            await asyncio.sleep(2.5)
            assert (_account(stage).stale, stage.state) == (("spot",), "catching_up")
            await asyncio.sleep(20)
            assert (_account(stage).stale, stage.state) == (("spot",), "stale")
            assert stage.status.last_error == "the spot wallet came back empty"
            stage.venue.answers = []
            await asyncio.sleep(16)
            assert _well(stage)

    play(story())


def test_what_a_stream_tells_that_was_lost_and_is_open_again_waits_for_an_answer_that_is_believed() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(40)
            stage.venue.answers = [EMPTY] * 4
            stage.venue.lose_stream()
            stage.venue.reopen("again")
            await asyncio.sleep(3)
            assert (_account(stage).stale, stage.state) == (("spot",), "catching_up")
            await asyncio.sleep(10)
            assert (_account(stage).stale, stage.state) == ((), "live")

    play(story())


def test_an_empty_answer_changes_nothing_while_a_stream_tells_what_is_there() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(40)
            shown, stage.venue.answers = len(stage.shown), [EMPTY]
            stage.venue.frame(BTC="2")
            await asyncio.sleep(20)
            assert stage.venue.answers == []
            assert all(one.state == "live" for one in stage.shown[shown:])
            assert not any(one.account is not None and one.account.stale for one in stage.shown[shown:])

    play(story())


def test_a_wallet_that_nobody_tells_of_is_stale_three_polls_after_its_last_answer_that_was_believed() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            await asyncio.sleep(11)
            stage.venue.answers = [EMPTY] * 100
            good = stage.venue.reads[-1]
            await asyncio.sleep(6)
            assert stage.status.last_error == "the spot wallet came back empty"
            await asyncio.sleep(good + 15.5 - asyncio.get_running_loop().time())
            assert (_account(stage).stale, stage.state) == (("spot",), "stale")
            told = [type(fact) for fact in stage.facts if isinstance(fact, AccountStale | AccountLive)]
            assert told == [AccountStale]

    play(story())


def test_another_wallet_that_is_well_does_not_hide_why_one_is_doubted() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(wallets=("spot", "funding"), streams=False, BTC="1")) as stage:
            await asyncio.sleep(11)
            stage.venue.doubtful = frozenset({"funding"})
            await asyncio.sleep(22)
            assert (_account(stage).stale, stage.state) == (("funding",), "live")
            assert stage.status.last_error == "the funding wallet came back empty"
            stage.venue.doubtful = frozenset()
            await asyncio.sleep(16)
            assert _well(stage)

    play(story())


def test_what_an_earlier_life_knew_stays_stale_until_an_answer_is_believed() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as first:
            await asyncio.sleep(1)
        await asyncio.sleep(60)
        first.venue.answers = [EMPTY] * 100
        async with Stage(first.venue, first.log) as second:
            await asyncio.sleep(10)
            assert (_account(second).stale, second.state) == (("spot",), "catching_up")
            assert second.status.last_error == "the spot wallet came back empty"
            await asyncio.sleep(10)
            assert second.state == "stale", "nothing was read since the start"
            first.venue.answers = []
            await asyncio.sleep(16)
            assert (_account(second).stale, second.state) == ((), "live")

    play(story())


def test_a_wallet_that_was_really_emptied_is_good_again_once_that_is_believed() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            await asyncio.sleep(6)
            stage.venue.truth = {}
            await asyncio.sleep(60)
            assert stage.told == [("BTC", "1"), ("BTC", "0")]
            assert _well(stage)

    play(story())


def test_a_refresh_of_which_nothing_is_believed_says_so() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            await asyncio.sleep(6)
            stage.venue.answers = [EMPTY] * 100
            taken, began = len(stage.venue.taken), asyncio.get_running_loop().time()
            with pytest.raises(GivenUp, match="the spot wallet came back empty"):
                await stage.refresh()
            assert asyncio.get_running_loop().time() - began < 5
            assert len(stage.venue.taken) == taken, "nobody else is answered with it"

    play(story())


def test_a_refresh_waits_for_the_truth_behind_an_empty_answer() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            await asyncio.sleep(6)
            stage.venue.answers, stage.venue.truth = [EMPTY], {"BTC": amount("2")}
            await stage.refresh()
            assert stage.told[-1] == ("BTC", "2")

    play(story())


def test_the_first_refresh_of_an_account_in_which_nothing_is_waits_until_that_is_believed() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False)) as stage:
            await stage.refresh()
            assert stage.state == "live"

    play(story())
