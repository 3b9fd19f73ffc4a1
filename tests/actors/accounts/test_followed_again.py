"""A wallet that nobody followed for a while: whoever took a snapshot meanwhile has none of its amounts."""

from __future__ import annotations

from indexer.domain.accounts.facts import AssetUpdated
from indexer.errors import VenueUnreachable
from tests.actors.accounts.fakes import FakeFollowings, FakeVenue, Stage
from tests.actors.fakes import FakeLog
from tests.sim.clock import in_virtual_time


async def _told_by_a_life(log: FakeLog, followings: FakeFollowings, venue: FakeVenue | None = None) -> list[str]:
    """What this life adds to the log, each with by how much it changed."""
    before = len(log.commits)
    async with Stage(venue or FakeVenue(BTC="1", ETH="2"), log, followings=followings):
        pass
    facts = [fact for commit in log.commits[before:] for fact in commit.facts if isinstance(fact, AssetUpdated)]
    return [f"{fact.slot.asset} {fact.change}" for fact in facts]


@in_virtual_time
async def test_what_is_in_it_is_told_once() -> None:
    log, followings = FakeLog(), FakeFollowings()
    assert await _told_by_a_life(log, followings) == ["BTC None", "ETH None"]
    assert followings.wallets == {"spot"}
    followings.wallets = set()
    assert await _told_by_a_life(log, followings) == ["BTC 0", "ETH 0"]
    assert await _told_by_a_life(log, followings) == []


@in_virtual_time
async def test_it_is_told_by_a_later_life_where_this_one_could_not_read_it() -> None:
    log, followings = FakeLog(), FakeFollowings()
    await _told_by_a_life(log, followings)
    followings.wallets = set()
    ill = FakeVenue(BTC="1", ETH="2")
    ill.ill["spot"] = VenueUnreachable("down")
    assert await _told_by_a_life(log, followings, ill) == []
    assert followings.wallets == set()
    assert await _told_by_a_life(log, followings) == ["BTC 0", "ETH 0"]


@in_virtual_time
async def test_what_an_earlier_release_followed_is_not_told_again() -> None:
    log = FakeLog()
    await _told_by_a_life(log, FakeFollowings())
    followings = FakeFollowings()
    assert await _told_by_a_life(log, followings) == []
    assert followings.wallets == {"spot"}
