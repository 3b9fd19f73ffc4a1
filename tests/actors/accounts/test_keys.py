"""What a venue that refuses a key says of all of it, or of one wallet."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from indexer.domain.accounts.amounts import Wallet
from indexer.errors import BadCredentials, Throttled, WalletUnsupported
from tests.actors.accounts.fakes import FakeVenue, Stage, amount
from tests.sim.clock import play


def test_refused_credentials_suspend_the_account_and_are_not_tried_again() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(streams=False, BTC="1")) as stage:
            stage.venue.errors = [BadCredentials("invalid api key")] * 3
            await asyncio.sleep(10)
            reads = len(stage.venue.reads)
            assert stage.state == "suspended"
            assert stage.alerts == [("authentication", False)]
            await asyncio.sleep(600)
            assert len(stage.venue.reads) == reads
            stage.venue.errors.clear()
            await stage.refresh()
            assert stage.state == "live"
            assert stage.alerts[-1] == ("authentication", True)

    play(story())


def test_a_suspended_account_hears_nothing_until_its_key_is_good_again() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            await asyncio.sleep(10)
            assert stage.venue.logins == 1
            stage.venue.errors = [BadCredentials("invalid api key")] * 3
            stage.venue.lose_stream()
            stage.venue.frame(BTC="2")  # queued behind, and of a stream that is no more when its turn comes
            await asyncio.sleep(600)
            assert (stage.state, stage.venue.logins) == ("suspended", 1)
            stage.venue.errors.clear()
            await stage.refresh()
            await asyncio.sleep(10)
            stage.venue.frame(BTC="3")
            await asyncio.sleep(1)
            assert (stage.state, stage.venue.logins, stage.told[-1]) == ("live", 2, ("BTC", "3"))

    play(story())


@pytest.mark.parametrize("refused", ["spot", "futures"])
def test_a_key_that_is_refused_for_one_wallet_alone_lacks_a_permission(refused: Wallet) -> None:
    async def story() -> None:
        venue = FakeVenue(wallets=("spot", "futures"), streams=False, BTC="1")
        venue.refuses = frozenset({refused})
        async with Stage(venue) as stage:
            await asyncio.sleep(10)
            assert (stage.state, stage.alerts) == ("live", [("permissions", False)])
            asked = len(venue.reads)
            venue.refuses = frozenset()
            await asyncio.sleep(700)
            assert stage.alerts[-1] == ("permissions", True)
            assert len(venue.reads) > asked

    play(story())


def test_a_probe_that_is_refused_lets_the_other_wallets_say_what_they_think_of_the_key() -> None:
    """Else nobody is asked any more: the one that was told to wait waits for the probe, which is over."""

    async def story() -> None:
        venue = FakeVenue(wallets=("funding", "earn", "spot"), streams=False, BTC="1")
        venue.streamed, venue.opening = frozenset({"spot"}), 1_000.0
        venue.refuses = frozenset({"earn", "spot"})
        venue.errors = [Throttled("slow down", 6.0)]
        async with Stage(venue) as stage:
            await asyncio.sleep(60)
            assert stage.state == "live"
            assert set(stage.alerts) == {("permissions", False)}

    play(story())


def test_a_key_that_every_wallet_refuses_suspends_the_account_after_each_was_asked_once() -> None:
    async def story() -> None:
        venue = FakeVenue(wallets=("spot", "futures", "funding"), streams=False, BTC="1")
        venue.refuses = frozenset(venue.wallets)
        async with Stage(venue) as stage:
            await asyncio.sleep(60)
            assert stage.state == "suspended"
            assert len(venue.reads) == len(venue.wallets)

    play(story())


def test_a_key_that_was_good_for_a_wallet_and_is_refused_there_is_none_any_more() -> None:
    async def story() -> None:
        venue = FakeVenue(wallets=("spot", "futures"), streams=False, BTC="1")
        async with Stage(venue) as stage:
            await asyncio.sleep(10)
            venue.refuses = frozenset({"futures"})
            await asyncio.sleep(10)
            assert stage.state == "suspended"

    play(story())


def test_a_wallet_that_the_key_may_not_read_does_not_keep_the_others_waiting() -> None:
    class Half(FakeVenue):
        async def read(self, wallet: Any, presses: Any) -> Any:
            if wallet == "margin":
                raise WalletUnsupported("the key may not read margin")
            return await super().read(wallet, presses)

    async def story() -> None:
        async with Stage(Half(wallets=("spot", "margin"), BTC="1")) as stage:
            assert stage.status.ready
            assert stage.alerts == [("permissions", False)]

    play(story())


def test_a_refresh_of_all_wallets_is_answered_though_the_key_may_not_read_one() -> None:
    async def story() -> None:
        venue = FakeVenue(wallets=("spot", "futures"), streams=False, BTC="1")
        venue.refuses = frozenset({"futures"})
        async with Stage(venue) as stage:
            await asyncio.sleep(10)
            venue.truth = {"BTC": amount("2")}
            reads = len(venue.reads)
            await stage.refresh()
            assert stage.told[-1] == ("BTC", "2")
            assert len(venue.reads) >= reads + 2, "it may have got the permission by now"
            with pytest.raises(BadCredentials):
                await stage.refresh("futures")

    play(story())


def test_a_refresh_of_which_nothing_can_be_read_says_why() -> None:
    async def story() -> None:
        venue = FakeVenue(wallets=("spot", "futures"), streams=False, BTC="1")
        venue.ill = {"spot": WalletUnsupported("no spot"), "futures": WalletUnsupported("no futures")}
        async with Stage(venue) as stage:
            await asyncio.sleep(10)
            with pytest.raises(WalletUnsupported):
                await stage.refresh()

    play(story())
