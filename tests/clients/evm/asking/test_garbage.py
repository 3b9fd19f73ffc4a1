"""Answers in which anything may stand for anything: each is read, or is one of our errors, and nobody dies of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final

import orjson
import pytest

from indexer.clients.evm.asking.calls import Call, Limits, Plan, Reply
from indexer.clients.evm.asking.transport import Transport
from indexer.clients.evm.asking.wording import refusal
from indexer.clients.evm.hearing.socket import NodeSocket
from indexer.clients.evm.judging.opinions import header_of, linked_headers, tagged
from indexer.clients.evm.reading.readings import Natives, readings, singly
from indexer.clients.evm.reading.tokens import description, inspection
from indexer.clients.evm.transfers.hints import Hints
from indexer.clients.evm.transfers.logs import TRANSFER, Filters, topic_of, transfers_at
from indexer.clients.evm.transfers.missed import Missed
from indexer.clients.evm.transfers.ranges import headers_of, logs_between, moved
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, BlockHash, Head, Holding
from indexer.errors import IndexerError
from tests.actors.fakes import USDC
from tests.fixtures.chain import wallets

ALICE, BOB = wallets(2)
HEAD: Final = Head(16, BlockHash("0x" + "ab" * 32), BlockHash("0x" + "aa" * 32), 1)
FILTERS: Final = Filters(Watch(frozenset([USDC]), frozenset([ALICE, BOB])))
NATIVES: Final = Natives([Holding(NATIVE, ALICE)])
TOKEN: Final = Holding(USDC, ALICE)

WORD: Final = f"0x{5:064x}"
TEXT: Final = f"0x{32:064x}{5:064x}{'41' * 32}"
HEADER: Final = {
    "number": "0x10",
    "hash": HEAD.hash,
    "parentHash": HEAD.parent,
    "timestamp": "0x1",
    "logsBloom": "0x" + "00" * 256,
}
ABOVE: Final = {**HEADER, "number": "0x11", "hash": "0x" + "ac" * 32, "parentHash": HEAD.hash}
LOG: Final = {
    "address": USDC.lower(),
    "topics": [TRANSFER, topic_of(ALICE), topic_of(BOB)],
    "data": WORD,
    "blockHash": HEAD.hash,
    "blockNumber": "0x10",
    "blockTimestamp": "0x1",
    "transactionHash": "0x" + "cd" * 32,
    "logIndex": "0x7",
}
ERROR: Final = {"code": -32005, "message": "slow down", "data": {"rate": {"backoff_seconds": 1}}}

JUNK: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1.5, 1e300, 2**63, "", "null", "é", "٣"),
    *("0x", "0x1", "0X10", "0xzz", "0x" + "f" * 64, "0x" + "f" * 65, "0x" + "ff" * 31, "0x" + "ff" * 96),
    *([], {}, [[]], [None], {"a": 1}),
)

QUESTIONS: Final[Sequence[tuple[Callable[[], Plan[Any]], Sequence[Any]]]] = (
    (lambda: header_of("eth_getBlockByNumber", "0x10"), [HEADER]),
    (lambda: tagged("safe"), [HEADER]),
    (lambda: linked_headers(16, 17), [HEADER, ABOVE]),
    (lambda: headers_of([16], HEAD.ref), [HEADER, HEADER]),
    (lambda: logs_between(10, 16, b"", HEAD.ref, Limits()), [[LOG], HEADER, HEADER]),
    (lambda: transfers_at(HEAD.ref, FILTERS, Limits(), beside_reads=False), [[LOG], [LOG], "0x1"]),
    (lambda: readings(HEAD, NATIVES, [TOKEN], Limits()), [WORD]),
    (lambda: readings(HEAD.ref, NATIVES, [TOKEN], Limits(doubted=frozenset(["parent"]))), [WORD, HEADER]),
    (lambda: singly(HEAD, [Holding(NATIVE, ALICE), TOKEN]), ["0x5", WORD]),
    (lambda: description(USDC, HEAD.hash), [WORD, TEXT, TEXT]),
    (lambda: inspection(USDC, HEAD.hash), ["0x60", WORD, WORD, TEXT, TEXT]),
)


class Garbler:
    """Puts junk into the place of anything."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - the same story every time

    def garbled(self, said: Any) -> Any:
        draw = self._random.random
        if draw() < 0.2:
            return self._random.choice(JUNK)
        if isinstance(said, dict):
            kept = {key: value for key, value in said.items() if draw() > 0.05}
            return {key: self.garbled(value) if draw() < 0.3 else value for key, value in kept.items()}
        if isinstance(said, list):
            some = [self.garbled(each) if draw() < 0.4 else each for each in said if draw() > 0.05]
            return [*some, self._random.choice(JUNK)] if draw() < 0.1 else some
        return said

    def reply(self, said: Any) -> Reply:
        return Reply(error=refusal(self.garbled(ERROR))) if self._random.random() < 0.1 else Reply(self.garbled(said))


@pytest.mark.parametrize("place", range(len(QUESTIONS)))
def test_whatever_answers_a_question(place: int) -> None:
    ask, answers = QUESTIONS[place]
    garbler, right = Garbler(place), 0
    for _ in range(500):
        with suppress(IndexerError):
            ask().read([garbler.reply(answer) for answer in answers])
            right += 1
    assert right < 500


def test_whatever_is_among_logs_and_hints() -> None:
    garbler, hints = Garbler(1), Hints()
    nobody: Any = None
    for _ in range(1_000):
        with suppress(IndexerError):
            moved([garbler.garbled(LOG)], 0, 20, FILTERS, {}, {})
        Missed(nobody, hints)._note([HEAD], [Reply(garbler.garbled([LOG]))], FILTERS)
    assert hints.of(HEAD.hash)


def test_whatever_comes_for_a_batch() -> None:
    garbler, transport = Garbler(2), Transport("http://127.0.0.1:1/", "one")
    asked = {1: Call("eth_chainId"), 2: Call("eth_getLogs", of_range=True)}
    for _ in range(1_000):
        answer = garbler.garbled([{"id": 1, "result": "0x1"}, {"id": 2, "error": ERROR}])
        assert isinstance(transport._refused(500, {}, answer, [*asked.values()], 100), IndexerError)
        transport._is_of_calls(500, {}, answer, asked)
        with suppress(IndexerError):
            if isinstance(answer, list):
                transport._matched(asked, answer)


def test_whatever_comes_over_a_websocket() -> None:
    heard = list[object]()
    socket, garbler = NodeSocket("ws://one", on_head=heard.append, on_log=heard.append), Garbler(3)
    frame = {"id": 1, "result": "0x1", "error": ERROR, "params": {"subscription": "0x1", "result": HEADER}}
    for _ in range(1_000):
        with suppress(IndexerError):
            socket._heard(orjson.dumps(garbler.garbled(frame)))
    assert not heard
