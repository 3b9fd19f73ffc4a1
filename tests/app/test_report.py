"""What the service says of itself, and the addresses that outlive actors."""

from __future__ import annotations

from typing import Any

import pykka
import pytest

from actors.base import AsyncActor, end
from actors.statusboard import StatusBoard
from indexer.app.posts import Post
from indexer.app.report import ServiceReport
from indexer.domain.health.status import StreamStatus

SECONDS = 5.0


class Desk:
    """A report on two chains, with a clock in the test's hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.board = StatusBoard()
        self.streams = {"chain:1": "ethereum", "chain:8453": "base"}
        self.told: dict[str, int] = {}
        self.report = ServiceReport(
            board=self.board,
            version="1.2.3",
            store="memory",
            expected=lambda: self.streams,
            told=lambda: self.told,
            clock=lambda: self.now,
        )

    def ready(self, *streams: str) -> None:
        for stream in streams:
            self.board.show(StreamStatus(stream, stream, "live", ready=True))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_stream_that_has_not_said_anything_yet_is_starting(desk: Desk) -> None:
    desk.ready("chain:8453")
    assert [(status.stream, status.state) for status in desk.report.streams()] == [
        ("chain:1", "starting"),
        ("chain:8453", "live"),
    ]


def test_a_stream_that_nobody_expects_any_more_is_not_shown(desk: Desk) -> None:
    desk.ready("chain:137")
    assert {status.stream for status in desk.report.streams()} == {"chain:1", "chain:8453"}


def test_numbers_are_those_that_were_told_whatever_streams_say_of_themselves(desk: Desk) -> None:
    desk.told = {"chain:1": 43, "chain:8453": 8}
    desk.board.show(StreamStatus("chain:1", "ethereum", "live", seq=42))
    assert [status.seq for status in desk.report.streams()] == [43, 8]
    desk.board.show(StreamStatus("chain:8453", "base", "live", seq=9))
    assert [status.seq for status in desk.report.streams()] == [43, 8]


def test_a_service_is_ready_while_history_is_still_filled(desk: Desk) -> None:
    desk.streams["history:1"] = "ethereum"
    desk.ready("chain:1", "chain:8453")
    desk.board.show(StreamStatus("history:1", "ethereum", "catching_up", seq=7))
    assert desk.report.unready() == ()
    assert desk.report.streams()[-1].state == "catching_up"


def test_readiness_gives_a_reason_for_each_stream_that_is_not(desk: Desk) -> None:
    desk.ready("chain:8453")
    status = StreamStatus("chain:1", "ethereum", "catching_up", block=5, newest_block=9, last_error="slow")
    desk.board.show(status)
    assert desk.report.unready() == ("chain:1 (ethereum) is catching up, 4 blocks behind: slow",)
    assert desk.report.unready(8453) == ()
    desk.ready("chain:1")
    assert desk.report.unready() == ()


def test_an_ill_part_keeps_everything_from_being_ready_and_the_service_from_being_well(desk: Desk) -> None:
    desk.ready("chain:1", "chain:8453")
    assert desk.report.health_problems() == ()
    desk.report.ill("store", "no primary")
    assert desk.report.health_problems() == ("store: no primary",)
    assert desk.report.unready(8453) == ("store: no primary",)
    desk.report.ill("store", None)
    desk.report.ill("store", None)
    assert desk.report.unready() == ()


def test_a_refused_file_is_shown_until_a_good_one_is_loaded(desk: Desk) -> None:
    before = desk.report.service()["config"]
    desk.report.refused(["chains.ethereum.rpc_urls: nothing there"])
    assert desk.report.service()["config"] == {**before, "problems": ["chains.ethereum.rpc_urls: nothing there"]}
    desk.report.loaded()
    assert desk.report.service()["config"]["problems"] == []


def test_uptime_is_counted_from_the_start(desk: Desk) -> None:
    desk.now += 1.23456
    service = desk.report.service()
    assert (service["version"], service["store"], service["uptimeSeconds"]) == ("1.2.3", "memory", 1.235)


class Echo(AsyncActor):
    """Answers with what it was told."""

    async def receive(self, message: Any) -> Any:
        return message


def present(post: Post) -> object:
    return post.ref


async def test_a_post_reaches_the_present_life_and_loses_what_comes_in_between() -> None:
    post = Post()
    assert present(post) is None
    post.tell("nobody is there")
    first = post.move_to(Echo.start())
    assert present(post) is first
    await end(first, SECONDS)
    assert present(post) is None
    post.tell("between two lives")
    second = post.move_to(Echo.start())
    assert present(post) is second
    assert await second.ask("hello", block=False) == "hello"
    await end(second, SECONDS)
    assert pykka.ActorRegistry.get_all() == []
