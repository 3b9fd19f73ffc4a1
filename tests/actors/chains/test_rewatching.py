"""A watch that changes while the chain lives: what that costs, and what several changes at once have in common."""

from __future__ import annotations

from typing import NoReturn

import pytest

from actors.messages import WatchChanged
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Address, Holding
from tests.actors.chains.stage import staged
from tests.actors.chains.test_chain import in_virtual_time
from tests.sim.world import TOKENS, WATCH

DAVE = Address("0x" + "dd" * 20)


@in_virtual_time
async def test_a_new_solver_costs_no_look_at_all_that_is_watched() -> None:
    async with staged() as stage:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Watch, "holdings", _never)
            stage.ref.tell(WatchChanged(Watch(WATCH.tokens, WATCH.solvers | {DAVE})))
            await stage.settle(0.1)
        assert stage.read[-1] == {Holding(token, DAVE) for token in (NATIVE, *TOKENS)}


def _never(_watch: Watch) -> NoReturn:
    raise AssertionError("it would grow with all that is watched")
