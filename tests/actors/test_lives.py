"""From one life of a chain's actor to the next, with native balances that are not read at every block."""

from __future__ import annotations

import itertools

import pytest

from actors.base import cut_short
from indexer.domain.chain import NATIVE, Holding
from tests.actors.chains.stage import staged
from tests.sim.clock import in_virtual_time
from tests.sim.world import OUTSIDE, TOKENS, WALLETS

ALICE, BOB, _ = WALLETS
LIVES = [
    pytest.param(before, after, at, killed, id=f"{before}-{after}-{at}{'-killed' if killed else ''}")
    for before, after, at, killed in itertools.product((1, 3), (1, 3), range(4), (False, True))
]


@pytest.mark.parametrize(("before", "after", "at", "killed"), LIVES)
def test_a_native_change_that_the_last_life_had_not_read_is_recorded_where_it_was(
    before: int, after: int, at: int, *, killed: bool
) -> None:
    @in_virtual_time
    async def story() -> None:
        async with staged(native_interval=before) as stage:
            changed = []
            for _ in range(at):
                await stage.hear(stage.world.pay(TOKENS[0], OUTSIDE, ALICE, 1))
            quiet = stage.world.put(Holding(NATIVE, BOB), 77)
            changed.append((BOB, quiet.number, 77))
            await stage.hear(quiet, stage.world.pay(TOKENS[0], OUTSIDE, ALICE, 1))
            if killed:
                cut_short(stage.ref)
                await stage.settle()
            else:
                await stage.stop()
            stage.native_interval = after
            missed = [stage.world.put(Holding(NATIVE, BOB), 78)] + [stage.world.mine(busy=0) for _ in range(3)]
            changed.append((BOB, missed[0].number, 78))
            stage.start()
            await stage.settle()
            await stage.hear(stage.world.mine(busy=0), stage.world.mine(busy=0))
            told = [fact for fact in stage.updates() if fact.holding == Holding(NATIVE, BOB)]
            assert [(fact.holding.solver, fact.block.number, fact.balance) for fact in told] == changed

    story()
