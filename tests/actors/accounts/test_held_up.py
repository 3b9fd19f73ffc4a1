"""A store that does not take what an account has to tell: said in its status while it lasts, in virtual time."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from actors.accounts import account
from indexer.domain.accounts.arrivals import StreamOpened
from indexer.errors import StoreUnavailable
from tests.actors.accounts.fakes import FakeVenue, Stage
from tests.actors.fakes import FakeLog
from tests.sim.clock import play


class FrozenLog(FakeLog):
    """Says nothing at all while it is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.well = asyncio.Event()
        self.well.set()

    async def append(self, commit: object) -> None:
        await self.well.wait()
        await super().append(commit)  # type: ignore[arg-type]  # what it is given


def test_a_store_that_is_frozen_shows_itself_while_frames_wait() -> None:
    async def story() -> None:
        log = FrozenLog()
        async with Stage(FakeVenue(BTC="1"), log) as stage:
            log.well.clear()
            with structlog.testing.capture_logs() as logs:
                stage.venue.frame(BTC="2")
                await asyncio.sleep(0.1)
                assert (stage.state, stage.status.last_error) == ("live", None), "a slow write is none that waits"
                stage.venue.frame(BTC="3")
                await asyncio.sleep(2.5)
                assert stage.status.last_error == "a commit waits for the store: it does not answer"
                assert stage.status.queue_depth > 0
                await asyncio.sleep(2)
                assert (stage.state, stage.status.ready) == ("stale", False)
                log.well.set()
                await asyncio.sleep(1)
                status = stage.shown[-1]
                assert (status.state, status.last_error or "", status.queue_depth) == ("live", "", 0)
            assert [each["event"] for each in logs] == ["store_lost", "store_back"]
            assert [told for told in stage.told if told[0] == "BTC"] == [("BTC", "1"), ("BTC", "2"), ("BTC", "3")]

    play(story())


def test_a_store_that_is_gone_shows_itself_at_once_and_is_logged_once() -> None:
    async def story() -> None:
        async with Stage(FakeVenue(BTC="1")) as stage:
            stage.log.troubles = [StoreUnavailable("no primary")] * 4
            with structlog.testing.capture_logs() as logs:
                stage.venue.frame(BTC="2")
                await asyncio.sleep(0.1)
                assert "no primary" in (stage.status.last_error or "")
                await asyncio.sleep(5)
            assert [each["event"] for each in logs] == ["store_lost", "store_back"]
            assert (stage.state, stage.status.last_error, stage.told[-1]) == ("live", None, ("BTC", "2"))

    play(story())


class Patient(FakeVenue):
    """Notes that its stream is to be begun anew, and opens it no sooner than a venue would."""

    def reopen(self, reason: str) -> None:
        self.reopened.append(reason)


def test_frames_that_find_no_place_are_made_good_once_there_is_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "MOST_QUEUED", 20)

    async def story() -> None:
        log, venue = FrozenLog(), Patient(BTC="1")
        async with Stage(venue, log) as stage:
            log.well.clear()
            for total in range(2, 102):
                venue.frame(BTC=str(total))
                await asyncio.sleep(0.01)
            assert stage.status.queue_depth <= 20
            assert venue.reopened == [], "each new connection would only bring what finds no place either"
            log.well.set()
            await asyncio.sleep(0.1)
            assert venue.reopened == ["more frames than can be handled"]
            await asyncio.sleep(1)
            assert stage.told[-1] == ("BTC", "101")
            venue.say(StreamOpened(venue.streamed))
            await asyncio.sleep(1)
            assert (stage.state, len(venue.reopened)) == ("live", 1)

    play(story())
