"""What a client may read after it was told something."""

from __future__ import annotations

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import BlockHash, BlockRef, Holding, TokenInfo
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, HistoryFilled, HistoryRow
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


def test_nothing_else_may() -> None:
    assert not may_read(18, history=False)
    assert not may_read(19)
    assert not may_read(12)
    assert not may_read(18, history=False, goes_on=True)
