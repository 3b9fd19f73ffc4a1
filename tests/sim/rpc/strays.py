"""Reads that are answered for a neighbour of the block asked for, or with its state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.sim.faults import Faults
from tests.sim.rpc.machine import Machine
from tests.sim.world import Block

_FULL_CIRCLE: Final = 8191


@dataclass(frozen=True)
class Run:
    """Where a program ran: what the node took for its block, and whose state it was given."""

    place: Block
    state: Block


class Strays:
    """Only where whoever asked can find it out: without the hashes in the state, nothing tells whose state it is."""

    def __init__(self, faults: Callable[[], Faults], random: Random) -> None:
        self._faults = faults
        self._random = random
        self.count = 0

    def run(self, machine: Machine, block: Block, *, keeps_hashes: bool) -> Run:
        chance = self._faults().other_block
        if not chance or self._random.random() >= chance:
            return Run(block, block)
        number = block.head.number
        near = [each for each in (machine.at(number - 1), machine.at(number + 1)) if each is not None]
        if machine.at(number) is not block or not near:
            return Run(block, block)
        self.count += 1
        other = self._random.choice(near)
        return Run(block, other) if keeps_hashes and self._random.random() < 0.5 else Run(other, other)


def facts_of(run: Run, asked: int, kind: str, machine: Machine) -> str:
    """The five words that the program adds; `kind` as in `Manners.facts`."""
    head = run.place.head
    if kind == "foreign":
        number, timestamp, below = head.number // 7, head.timestamp, f"{head.number + 1:064x}"
    elif kind == "next":
        number, timestamp, below = head.number + 1, head.timestamp + 12, head.hash[2:]
    else:
        number, timestamp, below = head.number, head.timestamp, head.parent[2:]
    kept = ("0" * 64,) * 2 if kind == "unkept" else [_kept(run.state, at, machine) for at in (asked - 1, asked)]
    return "".join((f"{number:064x}", f"{timestamp:064x}", below, *kept))


def _kept(state: Block, number: int, machine: Machine) -> str:
    """What EIP-2935 has of this number in this state; a chain that is long enough always has something there."""
    if number == state.head.number - 1:
        return state.head.parent[2:]
    below = machine.at(number) if 0 <= number < state.head.number else None
    return below.head.hash[2:] if below is not None else f"{2**255 + number % _FULL_CIRCLE:064x}"
