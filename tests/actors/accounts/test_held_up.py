"""A store that does not take what an account has to tell: said in its status while it lasts, in virtual time."""

from __future__ import annotations

import asyncio

import structlog

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
