"""What a refresh answers with: the record as it is stored by then, and no more claimed than is known of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from indexer.app.control import Control
from indexer.domain.balances import Watch
from indexer.domain.chain import BlockHash, BlockRef, Holding
from indexer.domain.recording.records import BalanceRecord, record_of
from tests.repositories.samples import USDC, head_at, solver_at, updated

OURS = Holding(USDC, solver_at(0))


async def _refreshed(value: int, at: BlockRef, stored: BalanceRecord) -> tuple[BalanceRecord, int]:
    """With what the node said at that block, and what the store has once that can be read."""

    async def refresh(_chain_id: int, _holding: Holding) -> tuple[int, BlockRef]:
        return value, at

    async def caught_up() -> None: ...

    async def one(_chain_id: int, _holding: Holding) -> BalanceRecord:
        return stored

    watch = Watch(frozenset({USDC}), frozenset({solver_at(0)}))
    fakes: dict[str, Any] = dict.fromkeys(
        ("settings", "report", "admit", "publish", "accounts", "auditor", "backfills", "waiting", "give_up")
    )
    fakes |= {
        "chains": SimpleNamespace(refresh=refresh),
        "watching": SimpleNamespace(watch=lambda _chain_id: watch),
        "positions": SimpleNamespace(caught_up=caught_up),
        "balances": SimpleNamespace(one=one),
    }
    return await Control(**fakes).refresh(1, OURS)


@pytest.mark.parametrize(
    ("value", "number", "held"),
    [(7, 9, 9), (7, 5, 5), (8, 9, 5), (7, 4, 5), (8, 4, 5)],
    ids=["unchanged since", "changed there", "taken back", "newer by the same", "newer"],
)
async def test_a_refresh_claims_what_was_read_unless_the_record_is_another_by_then(
    value: int, number: int, held: int
) -> None:
    stored = record_of(updated(5, balance=7), 1)
    assert await _refreshed(value, head_at(number).ref, stored) == (stored, held)


async def test_a_record_of_another_block_of_the_same_number_holds_at_its_own() -> None:
    stored = record_of(updated(5, balance=7), 1)
    assert await _refreshed(7, BlockRef(5, BlockHash("0x5"), 0), stored) == (stored, 5)
