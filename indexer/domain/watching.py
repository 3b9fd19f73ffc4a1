"""Who and what is watched, and who said so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from indexer.domain.chain import Address, TokenInfo

Source = Literal["file", "api"]


@dataclass(frozen=True, slots=True)
class Solver:
    """A wallet under a name; `chains` are chain ids, none means all."""

    name: str
    address: Address
    chains: tuple[int, ...] | None = None
    source: Source = "api"

    def is_on(self, chain_id: int) -> bool:
        return self.chains is None or chain_id in self.chains


@dataclass(frozen=True, slots=True)
class HiddenSolver:
    """One that was added over the API, while the file says otherwise of its name or its address: the file goes first.

    `by` is the file's solver, `unwatched` are the chains on which its address is not watched therefore.
    """

    solver: Solver
    by: str
    unwatched: tuple[int, ...] = ()


def hidden_by(file: Sequence[Solver], added: Sequence[Solver], chains: Sequence[int]) -> tuple[HiddenSolver, ...]:
    """Those of the added ones that the file hides, with what it watches instead on these chains."""
    names = {solver.name: solver.name for solver in file}
    wallets: dict[str, Solver] = {solver.address: solver for solver in file}
    hidden = []
    for solver in added:
        watched = wallets.get(solver.address)
        by = names.get(solver.name) or (watched and watched.name)
        if by:
            lost = (i for i in chains if solver.is_on(i) and not (watched and watched.is_on(i)))
            hidden.append(HiddenSolver(solver, by, tuple(lost)))
    return tuple(hidden)


@dataclass(frozen=True, slots=True)
class WatchedToken:
    """A token contract on one chain, with what it says of itself once it was asked."""

    chain_id: int
    address: Address
    info: TokenInfo = field(default_factory=TokenInfo)
    source: Source = "api"
