"""A question that was put before it was found out what an endpoint's facts mean."""

from __future__ import annotations

import pytest

from indexer.clients.evm.asking.calls import Limits, Reply
from indexer.clients.evm.asking.multiread import echo, packed_wallets
from indexer.clients.evm.asking.provenance import Fact, OtherBlock
from indexer.clients.evm.reading.readings import Natives, readings
from indexer.domain.chain import NATIVE, BlockRef, Holding
from tests.clients.evm.judging.test_quarantine import name_of
from tests.repositories.samples import solver_at

FOREIGN: frozenset[Fact] = frozenset({"number", "timestamp", "parent"})


def test_an_older_state_is_not_believed_because_its_block_s_facts_are_doubted_meanwhile() -> None:
    """They were all that this question could tell it by: with doubts, the header travels along."""
    block, held, limits = BlockRef(9, name_of(9), 9), Holding(NATIVE, solver_at(1)), Limits()
    plan = readings(block, Natives([held]), (), limits)
    assert len(plan.calls) == 1
    limits.doubted = FOREIGN
    as_in_the_next = f"{10:064x}{21:064x}{name_of(9)[2:]}"
    asked = echo(packed_wallets([held.solver]), b"").hex()
    of_the_one_before = f"{2**255:064x}{2**255 + 1:064x}"
    with pytest.raises(OtherBlock):
        plan.read([Reply(f"0x{7:064x}{as_in_the_next}{of_the_one_before}{asked}")])
    assert len(readings(block, Natives([held]), (), limits).calls) == 2
