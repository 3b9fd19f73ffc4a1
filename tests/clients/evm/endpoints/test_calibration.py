"""What is found out of an endpoint whose facts contradict."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from indexer.clients.evm.asking.calls import Call, Reply
from indexer.clients.evm.asking.provenance import Fact, OtherBlock
from indexer.clients.evm.endpoints.calibration import Calibration
from indexer.domain.chain import BlockHash, BlockRef
from indexer.errors import BlockUnknown, StateMissing
from tests.fixtures.fakenode import header

CONTRADICTED: frozenset[Fact] = frozenset(("number", "parent"))
TIP = 100


class Machine:
    """Has blocks up to 100, the newest with state; what programs find there is of another chain, or its own."""

    def __init__(self, state_from: int, *, is_foreign: bool = True, behind: int = 0) -> None:
        self.asked = 0
        self._behind = behind
        self._state_from = state_from
        self._is_foreign = is_foreign

    async def travel(self, calls: Sequence[Call]) -> Sequence[Reply]:
        self.asked += len(calls)
        return [self._header(call) if call.method == "eth_getBlockByNumber" else self._facts(call) for call in calls]

    def _header(self, call: Call) -> Reply:
        number = int(call.params[0], 16)
        if number > TIP:
            return Reply(error=BlockUnknown("no such block"))
        return Reply(header(number, name(number), name(number - 1)))

    def _facts(self, call: Call) -> Reply:
        number = int(call.params[1]["blockHash"], 16)
        if number < self._state_from:
            return Reply(error=StateMissing("pruned"))
        number -= self._behind
        words = (number // 7, 1, 12) if self._is_foreign else (number, 1, number - 1)
        return Reply("0x" + "".join(f"{word:064x}" for word in (*words, number - 1, 0, 0)))


def name(number: int) -> BlockHash:
    return BlockHash(f"0x{number:064x}")


async def calibrated(machine: Machine, number: int) -> tuple[bool, Calibration]:
    calibration = Calibration()
    problem = OtherBlock(BlockRef(number, name(number), 1), CONTRADICTED)
    return await calibration.excuses(problem, machine.travel, 0.0), calibration


@pytest.mark.parametrize(("state_from", "number"), [(1, 90), (85, 85), (84, 85), (98, 100)])
async def test_what_is_of_another_chain_is_found_out_however_little_state_there_is(
    state_from: int, number: int
) -> None:
    """Whoever catches up at the very end of what can be read has nothing below it to compare with."""
    excused, calibration = await calibrated(Machine(state_from), number)
    assert excused
    assert calibration.foreign == CONTRADICTED


async def test_one_block_alone_says_nothing() -> None:
    excused, calibration = await calibrated(Machine(99), 100)
    assert not excused
    assert not calibration.foreign


async def test_what_fits_elsewhere_is_not_excused() -> None:
    excused, calibration = await calibrated(Machine(85, is_foreign=False), 85)
    assert not excused
    assert calibration.fitting >= CONTRADICTED


@pytest.mark.parametrize("behind", [1, 2, 50])
async def test_who_answers_with_all_that_an_older_block_has_is_not_excused(behind: int) -> None:
    """It never fits either, but it is no other meaning: it is the older block."""
    excused, calibration = await calibrated(Machine(1, is_foreign=False, behind=behind), 90)
    assert not excused
    assert not calibration.foreign


async def test_what_has_fitted_before_is_not_excused_and_not_asked_about() -> None:
    machine = Machine(1)
    problem = OtherBlock(BlockRef(90, name(90), 1), CONTRADICTED)
    assert not await Calibration().excuses(problem, machine.travel, 0.0, CONTRADICTED)
    assert machine.asked == 0


async def test_where_there_is_state_below_nothing_else_is_asked() -> None:
    machine = Machine(1)
    await calibrated(machine, 90)
    assert machine.asked == 6
