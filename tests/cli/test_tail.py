"""`tail` follows events, and misses none when the connection is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import Any

import pytest
from aiohttp import web

from indexer.cli.lines import line_of
from tests.cli.conftest import ACME, KEY, USDC, Service, event

Capture = pytest.CaptureFixture[str]


def sending(*frames: dict[str, Any], stay: bool = False) -> Any:
    async def play(socket: web.WebSocketResponse, _subscription: dict[str, Any]) -> None:
        for frame in frames:
            await socket.send_json(frame)
        if stay:
            await socket.receive()

    return play


def heartbeat(**seqs: int) -> dict[str, Any]:
    streams = {name.replace("_", ":"): {"seq": seq, "state": "live"} for name, seq in seqs.items()}
    return {"type": "heartbeat", "time": "2026-11-21T01:02:03Z", "streams": streams}


def seqs(capsys: Capture) -> list[int]:
    return [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()]


def of_account(type_: str, **data: Any) -> dict[str, Any]:
    place = {"exchange": "okx", "account": "desk", "wallet": "spot", "asset": "USDT", "cause": "stream"}
    return {"type": type_, "stream": "exchange:okx:desk", "seq": 3, "time": "T", "data": place | data}


async def test_what_is_wanted_of_accounts_is_asked_for(service: Service) -> None:
    service.connections = [sending(event(42), stay=True)]
    argv = ("--exchange", "okx", "--account", "desk", "--wallet", "spot", "--asset", "USDT")
    assert await service.run("tail", "--limit", "1", *argv) == 0
    wanted = {"exchange": "okx", "account": "desk", "wallet": "spot", "asset": "USDT"}
    assert service.subscribed[0]["filters"] == [wanted]


async def test_events_are_lines_for_people(service: Service, capsys: Capture) -> None:
    service.connections = [sending(heartbeat(chain_1=41), event(42), event(43, changeAmount=None), stay=True)]
    assert await service.run("tail", "--limit", "2") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == (
        f"2026-11-21T01:02:03.456Z chain:1#42 balance.updated USDC {ACME} 7.000001 (raw +6999996) block 123 transfer"
    )
    assert "(raw first)" in second


async def test_what_is_wanted_is_asked_for_from_where_the_service_stands(service: Service) -> None:
    service.status["streams"]["chain:5"] = service.status["streams"]["chain:1"] | {"seq": 0, "state": "starting"}
    service.status["streams"]["chain:6"] = service.status["streams"]["chain:1"] | {"seq": 0}
    service.connections = [sending(event(42), stay=True)]
    argv = ("--chain", "ethereum", "--token", USDC, "--solver", ACME, "--type", "balance.updated", "--type", "x")
    assert await service.run("tail", "--limit", "1", *argv) == 0
    wanted = {"chain": "ethereum", "token": USDC, "solver": ACME}
    assert service.subscribed == [
        {
            "op": "subscribe",
            "id": "tail",
            "filters": [{"type": "balance.updated", **wanted}, {"type": "x", **wanted}],
            "after": {"chain:1": 41, "chain:6": 0},
        }
    ]


async def test_a_lost_connection_is_taken_up_where_it_broke(service: Service, capsys: Capture) -> None:
    service.connections = [
        sending(event(42), event(44)),
        sending(),
        sending(event(44), event(45), stay=True),
    ]
    assert await service.run("tail", "--json", "--limit", "3") == 0
    assert [frame["after"] for frame in service.subscribed] == [{"chain:1": 41}, {"chain:1": 44}, {"chain:1": 44}]
    captured = capsys.readouterr()
    assert [json.loads(line)["seq"] for line in captured.out.splitlines()] == [42, 44, 45]
    assert "the connection was closed; trying again" in captured.err
    assert "connected again" in captured.err


async def test_a_stream_that_began_later_is_resumed_from_its_heartbeat(service: Service, capsys: Capture) -> None:
    service.connections = [sending(heartbeat(chain_1=41, chain_9=3)), sending(event(42), stay=True)]
    assert await service.run("tail", "--json", "--limit", "1") == 0
    assert service.subscribed[1]["after"] == {"chain:1": 41, "chain:9": 3}
    assert seqs(capsys) == [42]


async def test_a_gap_is_told_and_gone_on_from(service: Service, capsys: Capture) -> None:
    gap = {"type": "gap", "stream": "chain:1"}
    snapshot = {"type": "snapshot", "id": "tail", "items": [], "positions": {"chain:1": 7}}
    service.connections = [
        sending(event(42)),
        sending(gap, snapshot, event(8, epoch="new")),
        sending(event(9, epoch="new"), stay=True),
    ]
    assert await service.run("tail", "--json", "--limit", "3") == 0
    frames = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [frame["type"] for frame in frames] == ["balance.updated", "gap", "snapshot", *["balance.updated"] * 2]
    assert [frame["after"] for frame in service.subscribed] == [{"chain:1": 41}, {"chain:1": 42}, {"chain:1": 8}]


async def test_another_store_is_told_and_begun_anew_in(service: Service, capsys: Capture) -> None:
    """An older state was restored, and got past what was told before: its numbers are others than those we had."""
    snapshot = {"type": "snapshot", "id": "tail", "items": [], "positions": {"chain:1": 60}}
    service.connections = [
        sending(event(42)),
        sending(event(43, epoch="new"), event(44, epoch="new"), stay=True),
        sending(snapshot, event(61, epoch="new")),
        sending(event(62, epoch="new"), stay=True),
    ]
    assert await service.run("tail", "--json", "--limit", "3") == 0
    frames = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [frame.get("seq") or frame["type"] for frame in frames] == [42, "gap", "snapshot", 61, 62]
    assert frames[1] == {"type": "gap", "stream": None}
    assert [frame["after"] for frame in service.subscribed] == [{"chain:1": 41}, {"chain:1": 42}, {}, {"chain:1": 61}]
    assert [frame.get("snapshot") for frame in service.subscribed] == [None, None, True, None]


async def test_a_refused_subscription_ends_it(service: Service, capsys: Capture) -> None:
    problem = {"type": "about:blank", "title": "x", "status": 400, "detail": "unknown type", "field": "filters[0].type"}
    service.connections = [sending({"type": "error", "id": "tail", "problem": problem}, stay=True)]
    assert await service.run("tail", "--type", "nothing") == 2
    assert capsys.readouterr().err == "indexer: filters[0].type: unknown type\n"


async def test_a_problem_can_not_steer_the_terminal(service: Service, capsys: Capture) -> None:
    problem = {"type": "about:blank", "title": "x", "status": 400, "detail": "unknown\x1b[2J\ntype"}
    service.connections = [sending({"type": "error", "id": "tail", "problem": problem}, stay=True)]
    assert await service.run("tail") == 2
    assert capsys.readouterr().err == "indexer: unknown?[2J?type\n"


UNKNOWN = {"type": "about:blank", "title": "x", "status": 404, "detail": "no account of 'okx' is followed"}


async def test_filters_that_were_taken_once_are_tried_again_where_what_they_name_is_unknown(
    service: Service, capsys: Capture
) -> None:
    service.connections = [sending(event(42)), UNKNOWN, UNKNOWN, sending(event(43), stay=True)]
    assert await service.run("tail", "--json", "--limit", "2", "--exchange", "okx") == 0
    assert seqs(capsys) == [42, 43]


async def test_filters_end_it_where_what_they_name_was_never_known_or_stays_unknown(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.cli.tail._UNKNOWN_TIMES", 1)
    for connections in ([UNKNOWN], [sending(event(42)), UNKNOWN]):
        service.connections = list(connections)
        assert await service.run("tail", "--exchange", "okx") == 2
        assert capsys.readouterr().err.splitlines()[-1] == "indexer: no account of 'okx' is followed"


async def test_a_subscription_whose_store_failed_is_made_again(service: Service, capsys: Capture) -> None:
    problem = {"type": "about:blank", "title": "x", "status": 503, "detail": "the store does not answer"}
    ended = {"type": "error", "id": "tail", "problem": problem}
    service.connections = [sending(event(42), ended, stay=True), sending(event(43), stay=True)]
    assert await service.run("tail", "--json", "--limit", "2") == 0
    assert [frame["after"] for frame in service.subscribed] == [{"chain:1": 41}, {"chain:1": 42}]
    assert "the store does not answer" in capsys.readouterr().err


async def test_a_key_is_shown_to_the_websocket_too(service: Service) -> None:
    service.wants_key = True
    service.connections = [sending(event(42), stay=True)]
    assert await service.run("tail", "--limit", "1", "--api-key", KEY) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
async def test_a_signal_ends_it_quietly(service: Service, number: signal.Signals) -> None:
    service.connections = [sending(event(42), stay=True)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "indexer", "tail", "--url", service.url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"chain:1#42" in await asyncio.wait_for(process.stdout.readline(), 30)
    process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out, err) == (0, b"", b"")


async def test_a_reader_that_has_seen_enough_ends_it_quietly(service: Service) -> None:
    async def play(socket: web.WebSocketResponse, _subscription: dict[str, Any]) -> None:
        for seq in range(42, 5000):
            await socket.send_json(event(seq))

    service.connections = [play]
    process = await asyncio.create_subprocess_shell(
        f'"{sys.executable}" -m indexer tail --url {service.url} | head -n 1',
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (out.count(b"\n"), err) == (1, b"")


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        (
            {
                "type": "stream.stale",
                "stream": "chain:1",
                "seq": 3,
                "time": "T",
                "data": {"reason": "no head", "block": 7},
            },
            "T chain:1#3 stream.stale reason=no head block=7",
        ),
        (
            {"type": "conflated", "dropped": 9},
            "- - conflated 9 events left out, the newest state of each balance follows",
        ),
        (
            {"type": "gap", "stream": "chain:1"},
            "- - gap events of chain:1 are not kept any more; balances as they are now:",
        ),
        (
            {"type": "gap", "stream": None},
            "- - gap the service has another store than before; balances as they are now:",
        ),
        (
            event(4, orphaned=[{}, {}]) | {"type": "balance.reverted", "time": "T"},
            f"T chain:1#4 balance.reverted USDC {ACME} 7.000001 (raw +6999996) block 123 2 orphaned",
        ),
        (
            {"type": "snapshot", "items": [event(1)["data"], event(1, tokenSymbol="A\nB", amount=None)["data"]]},
            f"- - snapshot 2 balances; USDC {ACME} 7.000001; A?B {ACME} 7000001 raw",
        ),
        (
            of_account(
                "balance.updated", newBalance="7.5", previousBalance="5", changeAmount="2.5", free="7", used=None
            ),
            "T exchange:okx:desk#3 balance.updated USDT okx/desk spot 7.5 (+2.5) free 7 used ? stream",
        ),
        (
            of_account(
                "balance.updated", newBalance="7.5", previousBalance=None, changeAmount=None, free=None, used="1"
            ),
            "T exchange:okx:desk#3 balance.updated USDT okx/desk spot 7.5 (first) free ? used 1 stream",
        ),
        (
            of_account("balance.changed", newBalance="7", changeAmount="-3", changePercent="-30"),
            "T exchange:okx:desk#3 balance.changed USDT okx/desk spot 7 -3 (-30 %)",
        ),
        (
            of_account("position.updated", symbol="BTC/USDT:USDT", side="short", contracts="2", entryPrice="60000"),
            "T exchange:okx:desk#3 position.updated BTC/USDT:USDT okx/desk short 2 at 60000",
        ),
        (
            of_account("funding_fee", symbol="BTC/USDT:USDT", amount="-1.5"),
            "T exchange:okx:desk#3 funding_fee BTC/USDT:USDT okx/desk -1.5 USDT",
        ),
        (
            of_account("account.alert", kind="stale_data", severity="warning", detail="old\nword", cleared=False),
            "T exchange:okx:desk#3 account.alert stale_data warning okx/desk spot USDT: old?word",
        ),
        (
            of_account("stream.live", wallet=None, asset=None, cause=None, reason="back"),
            "T exchange:okx:desk#3 stream.live exchange=okx account=desk reason=back",
        ),
        (
            {"type": "snapshot", "items": [of_account("", balance="7")["data"]]},
            "- - snapshot 1 balances; USDT okx/desk spot 7",
        ),
    ],
)
def test_every_kind_of_frame_is_one_line(frame: dict[str, Any], line: str) -> None:
    assert line_of(frame) == line
