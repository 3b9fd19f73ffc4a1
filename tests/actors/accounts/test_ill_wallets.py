"""One wallet of an account that is ill by itself: it is shown as it is, and the others do not suffer."""

from __future__ import annotations

import asyncio

from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.facts import AccountAlert
from indexer.domain.health.status import AccountStatus
from indexer.errors import Throttled, VenueUnreachable, WalletUnsupported
from tests.actors.accounts.fakes import FakeVenue, Stage
from tests.sim.clock import play


def two_wallets(*, streams: bool = True) -> FakeVenue:
    """The stream, if there is one, tells of spot alone."""
    venue = FakeVenue(wallets=("spot", "funding"), BTC="1")
    venue.streamed = frozenset({"spot"}) if streams else frozenset()
    return venue


def ill(venue: FakeVenue, *wallets: Wallet) -> None:
    venue.ill = {wallet: VenueUnreachable("503") for wallet in wallets}


def account(stage: Stage) -> AccountStatus:
    assert stage.status.account is not None
    return stage.status.account


def test_a_wallet_that_is_not_answered_for_is_stale_and_the_account_lives() -> None:
    async def story() -> None:
        async with Stage(two_wallets()) as stage:
            await asyncio.sleep(10)
            assert account(stage).stale == ()
            ill(stage.venue, "funding")
            await asyncio.sleep(35)
            assert account(stage).stale == ("funding",)
            assert stage.state == "live"
            ill(stage.venue)
            await asyncio.sleep(10)
            assert account(stage).stale == ()

    play(story())


def test_a_wallet_that_is_ill_alone_leaves_the_breaker_closed_and_is_asked_less_and_less() -> None:
    async def story() -> None:
        async with Stage(two_wallets()) as stage:
            await asyncio.sleep(10)
            ill(stage.venue, "funding")
            await asyncio.sleep(60)
            assert account(stage).breaker.state == "closed"
            alerts = [fact for fact in stage.facts if isinstance(fact, AccountAlert)]
            assert [(one.kind, one.wallet, one.cleared) for one in alerts] == [("breaker_open", "funding", False)]
            failed = account(stage).failed
            await asyncio.sleep(600)
            assert account(stage).failed - failed <= 40
            ill(stage.venue)
            await asyncio.sleep(100)
            assert ("breaker_open", True) in stage.alerts

    play(story())


def test_other_wallets_are_read_while_one_is_ill() -> None:
    async def story() -> None:
        async with Stage(two_wallets(streams=False)) as stage:
            await asyncio.sleep(10)
            ill(stage.venue, "funding")
            await asyncio.sleep(60)
            stage.venue.frame(silent=True, BTC="2")
            await asyncio.sleep(6)
            assert stage.updates[-1].slot.wallet == "spot"
            assert stage.told[-1] == ("BTC", "2")

    play(story())


def test_a_venue_that_answers_for_no_wallet_opens_the_breaker() -> None:
    async def story() -> None:
        async with Stage(two_wallets()) as stage:
            await asyncio.sleep(10)
            ill(stage.venue, "spot", "funding")
            await asyncio.sleep(40)
            assert account(stage).breaker.state != "closed"

    play(story())


def test_a_venue_that_is_well_but_for_one_wallet_is_found_well_by_another() -> None:
    async def story() -> None:
        async with Stage(two_wallets(streams=False)) as stage:
            await asyncio.sleep(10)
            ill(stage.venue, "spot", "funding")
            await asyncio.sleep(60)
            assert account(stage).stale == ("spot", "funding")
            ill(stage.venue, "funding")
            await asyncio.sleep(20)
            assert account(stage).breaker.state == "closed"
            assert account(stage).stale == ("funding",)

    play(story())


def test_a_wallet_that_cannot_be_read_any_more_is_stale() -> None:
    async def story() -> None:
        async with Stage(two_wallets()) as stage:
            await asyncio.sleep(10)
            stage.venue.ill = {"funding": WalletUnsupported("not for this key")}
            await asyncio.sleep(6)
            assert account(stage).stale == ("funding",)

    play(story())


def test_a_stream_that_is_lost_leaves_time_for_a_read_before_anything_is_stale() -> None:
    async def story() -> None:
        async with Stage(two_wallets()) as stage:
            await asyncio.sleep(40)
            ill(stage.venue, "spot", "funding")
            shown = len(stage.shown)
            stage.venue.lose_stream()
            await asyncio.sleep(1.9)
            assert {one.account and one.account.stale for one in stage.shown[shown:]} == {()}
            await asyncio.sleep(1)
            assert (account(stage).stale, stage.state) == (("spot",), "catching_up"), "no stream tells of funding"
            await asyncio.sleep(16)
            assert account(stage).stale == ("spot", "funding")
            assert stage.state == "stale"

    play(story())


def test_a_probe_that_fails_is_over_though_another_wallet_was_well() -> None:
    async def story() -> None:
        async with Stage(two_wallets()) as stage:
            await asyncio.sleep(10)
            stage.venue.ill = {"funding": Throttled("slower", 2.0)}
            await asyncio.sleep(6)
            ill(stage.venue, "funding")
            await asyncio.sleep(60)
            assert account(stage).breaker.state == "closed"
            assert account(stage).stale == ("funding",)

    play(story())
