"""What a client may read after it was told something."""

from __future__ import annotations

from dataclasses import replace

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import BlockHash, BlockRef, Holding, TokenInfo
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, Confirmed, HistoryFilled, HistoryRow, StreamResync
from tests.actors.fakes import TIME
from tests.sim.service import HISTORY, STREAM
from tests.sim.witness import filled_in, is_fresh
from tests.sim.world import CHAIN_ID, TOKENS, WALLETS

HOLDING = Holding(TOKENS[0], WALLETS[0])


def at(number: int) -> BlockRef:
    return BlockRef(number, BlockHash(f"0x{number:064x}"), number)


def may_read(number: int, *, history: bool = True, goes_on: bool = False) -> bool:
    """A record of 5 in this block, after a reorg took all back above block 14, where nothing was held."""
    row = HistoryRow(at(18), 5, None, (), "latest", derived=False)
    filled = HistoryFilled(CHAIN_ID, HOLDING, 0, 26, (row,), TokenInfo(), "job")
    reverted = BalanceReverted(CHAIN_ID, HOLDING, 13, 0, at(14), TokenInfo(), (), anchor=True)
    log = [Commit("filled", HISTORY, 1, TIME, (filled,)), Commit("reverted", STREAM, 1, TIME, (reverted,))]
    if goes_on:
        log.append(
            Commit("new", STREAM, 2, TIME, (BalanceUpdated(CHAIN_ID, HOLDING, 0, 3, at(16), "transfer", TokenInfo()),))
        )
    answer = {"balance": "5", "blockNumber": number, "blockHash": at(number).hash}
    return is_fresh(log, HOLDING, answer, len(log) - 1, filled_in(log, HOLDING) if history else ())


def test_history_may_still_have_what_it_told_above_the_ancestor() -> None:
    assert may_read(18)
    assert may_read(18, goes_on=True)


def test_what_held_long_before_a_deep_reorg_is_behind_what_was_told() -> None:
    """Whether what was read after it differs or not."""
    told = BalanceUpdated(CHAIN_ID, HOLDING, 5, 7, at(10), "transfer", TokenInfo())
    confirmed = StreamResync(CHAIN_ID, "deep", at(16), above=8, confirmed=(Confirmed(HOLDING, 7, TokenInfo()),))
    differs = BalanceUpdated(CHAIN_ID, HOLDING, 7, 6, at(16), "resync", TokenInfo())
    for facts in ((confirmed,), (replace(confirmed, confirmed=()), differs)):
        log = [Commit("told", STREAM, 1, TIME, (told,)), Commit("cut", STREAM, 2, TIME, facts)]
        for number, balance, is_so in ((4, 5, False), (10, 7, True)):
            answer = {"balance": str(balance), "blockNumber": number, "blockHash": at(number).hash}
            assert is_fresh(log, HOLDING, answer, 1) is is_so


def test_nothing_else_may() -> None:
    assert not may_read(18, history=False)
    assert not may_read(19)
    assert not may_read(12)
    assert not may_read(18, history=False, goes_on=True)
