"""The file's words for what is watched, as the actors know them."""

from __future__ import annotations

from actors.watching import WatchedChain
from indexer.config import Settings
from indexer.domain.chain import Address, TokenInfo
from indexer.domain.watching import Solver


def watched_chains(settings: Settings) -> list[WatchedChain]:
    return [
        WatchedChain(
            name=chain.name,
            chain_id=chain.chain_id,
            native=TokenInfo(18, chain.native_symbol, chain.native_symbol),
            tokens=tuple(Address(token) for token in chain.tokens),
        )
        for chain in settings.chains.values()
    ]


def file_solvers(settings: Settings) -> list[Solver]:
    return [
        Solver(
            name=solver.name,
            address=solver.address,
            chains=None if solver.chains is None else tuple(settings.chains[name].chain_id for name in solver.chains),
            source="file",
        )
        for solver in settings.solvers.values()
    ]
