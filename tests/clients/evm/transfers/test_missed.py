"""What was missed is read in as few calls as what is heard, and hints never decide anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from indexer.clients.evm.asking.calls import Call, Reply
from indexer.clients.evm.asking.wording import TimedOut
from indexer.clients.evm.transfers import missed as module
from indexer.clients.evm.transfers.hints import Hints
from indexer.clients.evm.transfers.logs import TRANSFER, Filters, topic_of
from indexer.clients.evm.transfers.missed import Missed
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed
from indexer.domain.balances import Watch
from indexer.domain.chain import Address, BlockHash, Holding
from indexer.errors import BlockUnknown, IndexerError, ResponseTooLarge
from tests.clients.evm.builders import hashes, node_at
from tests.clients.evm.wires import Time, Wire, pool
from tests.fixtures.chain import wallets

WALLET = wallets(1)[0]
TOKEN = Address("0x" + "22" * 20)
FILTERS = Filters(Watch(frozenset([TOKEN]), frozenset([WALLET])))
HASHES = hashes(10)


@pytest.mark.node
async def test_blocks_that_were_missed_take_one_call_each_for_all_their_balances(anvil: Anvil, token: Deployed) -> None:
    people = wallets(6)
    watch = Watch(frozenset([token.address]), frozenset(people))
    for amount, wallet in enumerate(people, 1):
        await token.send("mint", wallet, amount)
        await anvil.mine()
    async with node_at(anvil.http_url) as node:
        newest = await node.newest()
        first = newest.number - len(people) + 1
        before = node.counts.trips
        heads = await node.missed(first, newest.number, watch)
        views = await node.look(heads, watch)
        assert node.counts.trips == before + 2
        assert heads == await node.headers(first, newest.number)
    for amount, (wallet, view) in enumerate(zip(people, views, strict=True), 1):
        assert view.readings.values[Holding(token.address, wallet)] == amount


class Chain(Wire):
    """Ten linked blocks; logs as scripted."""

    logs: Any = ()
    refused: IndexerError | None = None
    refuses_all: bool = False

    async def exchange(self, calls: Sequence[Call], _timeout_seconds: float) -> list[Reply]:
        self.asked.append([call.method for call in calls])
        if self.refuses_all and any(call.method == "eth_getLogs" for call in calls):
            assert self.refused is not None
            raise self.refused
        return [self._reply(call) for call in calls]

    def _reply(self, call: Call) -> Reply:
        if call.method == "eth_getLogs":
            return Reply(error=self.refused) if self.refused else Reply(result=self.logs)
        number = int(call.params[0], 16)
        if number >= len(HASHES):
            return Reply(result=None)
        parent = HASHES[number - 1] if number else hashes(11)[10]
        head = {"number": hex(number), "hash": HASHES[number], "parentHash": parent, "timestamp": hex(number)}
        return Reply(result=head)

    def times_asked_for_logs(self) -> int:
        return sum("eth_getLogs" in trip for trip in self.asked)


def log_of(block: str, to: Address = WALLET) -> dict[str, Any]:
    topics = [TRANSFER, topic_of(Address("0x" + "33" * 20)), topic_of(to)]
    return {"address": TOKEN, "blockHash": block, "topics": topics}


def missed(chain: Chain) -> tuple[Missed, Hints]:
    hints = Hints()
    return Missed(pool(Time(), chain, patience_seconds=1.0), hints), hints


async def test_only_logs_of_these_blocks_and_of_whom_is_watched_are_hints() -> None:
    chain, other = Chain(1), "0x" + "ee" * 32
    chain.logs = [
        log_of(HASHES[3]),
        log_of(other),
        log_of(HASHES[4], to=Address("0x" + "44" * 20)),
        None,
        7,
        {"topics": 5},
    ]
    asker, hints = missed(chain)
    heads = await asker.headers(2, 5, FILTERS, None)
    assert [head.number for head in heads] == [2, 3, 4, 5]
    assert hints.of(BlockHash(HASHES[3])) == {Holding(TOKEN, WALLET)}
    assert not any(hints.of(BlockHash(block)) for block in (HASHES[4], other))


@pytest.mark.parametrize("refused", [ResponseTooLarge("at most 10 blocks"), TimedOut("query timeout exceeded")])
@pytest.mark.parametrize("refuses_all", [False, True])
async def test_where_ranges_are_refused_blocks_come_without_hints_for_a_while(
    refused: IndexerError, refuses_all: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REST", 3)
    chain = Chain(1)
    chain.refused, chain.refuses_all = refused, refuses_all
    asker, _ = missed(chain)
    for _ in range(4):
        assert len(await asker.headers(2, 5, FILTERS, None)) == 4
    assert chain.times_asked_for_logs() == 1
    chain.refused = None
    chain.refuses_all = False
    assert len(await asker.headers(2, 5, FILTERS, None)) == 4
    assert chain.times_asked_for_logs() == 2


async def test_blocks_that_nobody_has_are_no_reason_to_ask_without_hints() -> None:
    chain = Chain(1)
    asker, _ = missed(chain)
    with pytest.raises(BlockUnknown):
        await asker.headers(8, 12, FILTERS, None)
    await asker.headers(2, 5, FILTERS, None)
    assert chain.times_asked_for_logs() == 2


async def test_a_watch_of_very_many_wallets_is_asked_for_without_hints() -> None:
    chain = Chain(1)
    many = Filters(Watch(frozenset([TOKEN]), frozenset(wallets(5_000))))
    asker, _ = missed(chain)
    assert len(await asker.headers(2, 5, many, None)) == 4
    assert chain.times_asked_for_logs() == 0
