"""The board: the newest word of each stream on itself, and over it what was told since."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from actors.statusboard import StatusBoard
from indexer.api.reach import Reach
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.facts import AccountStale
from indexer.domain.health.status import StreamState, StreamStatus
from indexer.domain.telling.facts import BalanceReverted, Orphaned, StreamResync
from tests.actors.fakes import STREAM, TIME, commit_of, head_at, holding, updated

SECONDS = 5.0


def line(number: int, seq: int, newest: int | None = None) -> StreamStatus:
    head = head_at(number)
    return StreamStatus(
        STREAM,
        "ethereum",
        "live",
        block=number,
        block_time=datetime.fromtimestamp(head.timestamp, UTC),
        newest_block=newest or number,
        behind_since=TIME if newest else None,
        seq=seq,
    )


def board_at(number: int, seq: int, newest: int | None = None) -> StatusBoard:
    board = StatusBoard()
    board.show(line(number, seq, newest))
    return board


def shown(board: StatusBoard) -> StreamStatus:
    (status,) = board.streams()
    assert board.one(STREAM) == status
    return status


def reach(board: StatusBoard) -> tuple[int | None, int | None]:
    reached = Reach(board.streams())
    return reached.followed(1), reached.held(1, holding(1))


async def test_the_board_shows_each_streams_newest_word() -> None:
    board = StatusBoard()
    board.show(StreamStatus("chain:1", "ethereum"))
    board.show(StreamStatus("chain:2", "base"))
    board.show(StreamStatus("chain:1", "ethereum", "live"))
    assert [status.state for status in board.streams()] == ["live", "starting"]
    assert board.one("chain:2") == StreamStatus("chain:2", "base")
    board.forget("chain:1")
    board.forget("chain:1")
    assert board.one("chain:1") is None


async def test_whoever_waits_for_the_board_is_woken_by_every_word() -> None:
    board = StatusBoard()
    waiting = asyncio.ensure_future(board.until(lambda: len(board.streams()) == 2))
    for number in (1, 2):
        await asyncio.sleep(0)
        assert not waiting.done()
        board.show(StreamStatus(f"chain:{number}", "x"))
    await asyncio.wait_for(waiting, SECONDS)
    await asyncio.wait_for(board.until(lambda: True), SECONDS)


def test_a_block_that_was_told_is_shown_before_its_stream_says_so() -> None:
    board = board_at(811, seq=41, newest=812)
    board.tell(commit_of(42, updated(812, 7), head=head_at(812)))
    status = shown(board)
    assert (status.block, status.lag_blocks, status.behind_since) == (812, 0, None)
    assert status.block_time == datetime.fromtimestamp(head_at(812).timestamp, UTC)
    board.show(line(813, seq=42))
    assert shown(board) == line(813, seq=42)


def test_what_the_stream_has_said_already_is_not_told_twice() -> None:
    board = board_at(812, seq=42)
    board.tell(commit_of(42, updated(811, 7), head=head_at(811)))
    assert shown(board) == line(812, seq=42)


def test_of_a_block_that_is_told_in_parts_the_first_shows_it_and_the_last_proves_it() -> None:
    board = board_at(811, seq=41, newest=812)
    board.tell(commit_of(42, updated(812, 7)))
    assert (shown(board).block, shown(board).behind_since, reach(board)) == (812, TIME, (811, 811))
    board.tell(commit_of(43, updated(812, 8, who=1), head=head_at(812)))
    assert (shown(board).block, shown(board).behind_since, reach(board)) == (812, None, (812, 811))


def test_after_a_reorg_the_ancestor_is_shown_and_nothing_is_known_to_hold_above_it() -> None:
    board = board_at(105, seq=41)
    orphan = Orphaned(105, head_at(105).hash, 9)
    fact = BalanceReverted(1, holding(), 9, 7, head_at(102).ref, updated(1, 1).info, (orphan,))
    board.tell(commit_of(42, fact, head=head_at(102)))
    assert (shown(board).block, reach(board)) == (102, (102, 102))
    board.tell(commit_of(43, updated(106, 8, fork="b"), head=head_at(106, "b")))
    assert (shown(board).block, reach(board)) == (106, (106, 102))


def test_a_resync_that_was_told_is_shown_at_once() -> None:
    board = board_at(105, seq=41)
    board.tell(commit_of(42, StreamResync(1, "too deep", head_at(300).ref), head=head_at(300)))
    status = shown(board)
    assert status.block == 300
    assert status.incidents.resync is not None
    assert (status.incidents.resync.block, status.incidents.resync.reason) == (300, "too deep")


def test_a_new_life_that_knows_nothing_yet_does_not_take_back_what_was_told() -> None:
    board = board_at(811, seq=41)
    board.tell(commit_of(42, updated(812, 7), head=head_at(812)))
    board.show(line(812, seq=42))
    board.show(StreamStatus(STREAM, "ethereum"))
    assert (shown(board).block, shown(board).state, reach(board)) == (812, "starting", (812, 0))


@pytest.mark.parametrize("state", ["stale", "suspended", "stopped"])
@pytest.mark.parametrize("stream", [STREAM, "exchange:binance:main"])
def test_a_stream_that_is_not_followed_lags_since_it_said_so(state: StreamState, stream: str) -> None:
    moments = [TIME]
    board = StatusBoard(clock=lambda: moments[-1])
    board.show(StreamStatus(stream, "x", "live"))
    board.show(StreamStatus(stream, "x", state))
    moments.append(TIME + timedelta(seconds=5))
    board.show(StreamStatus(stream, "x", state, queue_depth=1))
    assert board.streams()[0].lag_seconds(TIME + timedelta(seconds=12)) == 12
    board.show(StreamStatus(stream, "x", "live"))
    assert board.streams()[0].lag_seconds(TIME + timedelta(seconds=13)) == 0


def test_a_stale_stream_with_an_older_head_that_is_not_handled_lags_since_that_was_heard() -> None:
    board = StatusBoard(clock=lambda: TIME)
    earlier = TIME - timedelta(seconds=7)
    board.show(replace(line(811, seq=41, newest=812), state="stale", behind_since=earlier))
    assert shown(board).lag_seconds(TIME) == 7


def test_history_that_stopped_has_no_lag() -> None:
    board = StatusBoard(clock=lambda: TIME)
    board.show(StreamStatus("history:1", "ethereum", "stopped"))
    assert board.streams()[0].lag_seconds(TIME + timedelta(seconds=9)) == 0


def test_streams_without_blocks_keep_their_word() -> None:
    board, stream = StatusBoard(), "exchange:binance:main"
    status = StreamStatus(stream, "binance/main", "live", seq=4)
    board.show(status)
    board.tell(commit_of(5, AccountStale(AccountKey("binance", "main"), "no answer"), stream=stream))
    assert board.streams() == (status,)


def test_a_stream_that_comes_again_under_the_same_name_begins_anew() -> None:
    board = board_at(811, seq=41)
    board.tell(commit_of(42, updated(812, 7), head=head_at(812)))
    board.forget(STREAM)
    board.show(StreamStatus(STREAM, "ethereum"))
    assert shown(board).block is None
