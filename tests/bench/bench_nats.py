"""Events into JetStream, ours against a bare nats-py script that pipelines as many and only counts the answers.

`python -m tests.bench nats` prints the table. The floor has neither order nor ids to look after, and its payloads are
made beforehand; ours starts from commits.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import nats
import orjson
from nats.aio.msg import Msg

from actors.publisher import AT_ONCE
from indexer.bus import Login, NatsBus, StreamPlan
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.events import event_json
from indexer.domain.telling.subjects import Names, Notice, notice_of
from tests.bench.rows import Row
from tests.fixtures.nats import NatsServer
from tests.hub.fakes import EPOCH, TIME, updated

EVENTS: Final = 12_800
ROUNDS: Final = 5


async def run(*, quick: bool = False) -> list[Row]:
    """One row; a few seconds."""
    rounds = 2 if quick else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder))
        await server.start()
        try:
            ours, floor = [], []
            for turn in range(rounds):
                ours.append(await _ours(server, turn))
                floor.append(await _floor(server, turn))
        finally:
            server.close()
    fast, bare = statistics.median(ours), statistics.median(floor)
    return [Row("nats: events stored by JetStream, in order and with ids", fast, bare, fast / bare, 0.25, "k/s")]


def _commit(turn: int, batch: int) -> Commit:
    first = turn * EVENTS + batch * AT_ONCE + 1
    facts = tuple(updated(1, first + index) for index in range(AT_ONCE))
    return Commit(f"c{first}", "chain:1", first, TIME, facts)


async def _ours(server: NatsServer, turn: int) -> float:
    """From commits to acknowledged messages: what the publisher does beside waiting."""
    bus = NatsBus(Login((server.url,)), StreamPlan("indexer", 1, 0, 1))
    await bus.open(lambda: None)
    commits = [_commit(turn, batch) for batch in range(EVENTS // AT_ONCE)]
    names = Names({1: "ethereum"})
    started = time.perf_counter()
    for commit in commits:
        notices: list[Notice] = [notice_of(event_json(event), names) for event in commit.events(EPOCH)]
        assert await bus.publish(notices) == AT_ONCE
    seconds = time.perf_counter() - started
    await bus.close()
    return EVENTS / seconds / 1_000


async def _floor(server: NatsServer, turn: int) -> float:
    client = await nats.connect(server.url)
    answers, wanted, all_there = 0, 0, asyncio.Event()

    async def answered(_: Msg) -> None:
        nonlocal answers
        answers += 1
        if answers == wanted:
            all_there.set()

    inbox = client.new_inbox()
    await client.subscribe(inbox, cb=answered)
    payloads = [
        [orjson.dumps(event_json(event)) for event in _commit(turn, batch).events(EPOCH)]
        for batch in range(EVENTS // AT_ONCE)
    ]
    started = time.perf_counter()
    for batch in payloads:
        wanted += len(batch)
        all_there.clear()
        for payload in batch:
            await client.publish("balance.ethereum.acme", payload, reply=inbox)
        await all_there.wait()
    seconds = time.perf_counter() - started
    await client.close()
    return EVENTS / seconds / 1_000
