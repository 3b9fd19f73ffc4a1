"""Who and what is watched: from the file, and added while running; chains are told what changes for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from actors.tokens import Node, TokenBook, TokenInfos, Within, however_long
from indexer.domain.balances import Watch
from indexer.domain.chain import Address, BlockHash, Holding, TokenInfo
from indexer.domain.watching import HiddenSolver, Solver, WatchedToken, hidden_by
from indexer.errors import Impossible, NameTaken, NotFound

log = structlog.get_logger(__name__)


class Watchlist(Protocol):
    """What was added while running, and survives a restart."""

    async def solvers(self) -> Sequence[Solver]: ...

    async def add_solver(self, solver: Solver) -> None: ...

    async def remove_solver(self, name: str) -> None: ...

    async def tokens(self) -> Sequence[WatchedToken]: ...

    async def add_tokens(self, tokens: Sequence[WatchedToken]) -> None: ...

    async def remove_token(self, chain_id: int, address: Address) -> None: ...


@dataclass(frozen=True, slots=True)
class WatchedChain:
    """A configured chain, with the tokens and the native coin that the file names."""

    name: str
    chain_id: int
    native: TokenInfo
    tokens: tuple[Address, ...] = field(default=())


class Watching:
    """The one place that knows; every change is stored first, then applied, then told to the chains it concerns."""

    def __init__(
        self,
        *,
        chains: Iterable[WatchedChain],
        solvers: Iterable[Solver],
        watchlist: Watchlist,
        book: TokenBook,
        node: Callable[[int], Node],
        changed: Callable[[int, Watch], None] = lambda _chain, _watch: None,
        within: Within = however_long,
    ) -> None:
        self._chains = {chain.chain_id: chain for chain in chains}
        self._from_file = tuple(replace(solver, source="file") for solver in solvers)
        self._watchlist = watchlist
        self._changed = changed
        self._infos = TokenInfos(book=book, node=node, within=within)
        self._added: tuple[Solver, ...] = ()
        self._added_tokens: tuple[WatchedToken, ...] = ()
        self._told: dict[int, Watch] = {}
        """What each chain was told last; made of all that is watched, it is not made again for everyone who asks."""
        self._due: dict[int, frozenset[Holding]] = {}
        self._storing = asyncio.Lock()
        """Between looking what is there and storing what is to be, nobody else adds or removes."""

    async def load(self) -> None:
        """Read what was added in earlier lives; a name that the file has taken since is the file's."""
        self._added = tuple(await self._watchlist.solvers())
        self._added_tokens = tuple(await self._watchlist.tokens())
        for chain in self._chains.values():
            await self._infos.load(chain.chain_id, chain.native)
            self._told[chain.chain_id] = self._made(chain.chain_id)

    # --- asking ------------------------------------------------------------------------------------------------------

    def chains(self) -> Mapping[str, int]:
        return {chain.name: chain.chain_id for chain in self._chains.values()}

    def watch(self, chain_id: int) -> Watch:
        return self._told.get(chain_id, Watch())

    def due(self, chain_id: int) -> frozenset[Holding]:
        """What is watched since a moment ago and was not read since: an older balance of it need not hold any more."""
        return self._due.get(chain_id, frozenset())

    def was_read(self, chain_id: int, holdings: frozenset[Holding]) -> None:
        self._due[chain_id] = self.due(chain_id) - holdings

    def solvers(self) -> Sequence[Solver]:
        hidden = {one.solver.name for one in self.hidden_solvers()}
        return (*self._from_file, *(solver for solver in self._added if solver.name not in hidden))

    def hidden_solvers(self) -> Sequence[HiddenSolver]:
        """Those that were added here, and that the file hides."""
        return hidden_by(self._from_file, self._added, tuple(self._chains))

    def hidden_tokens(self) -> Sequence[WatchedToken]:
        """Those that were added here, and that the file names too: they are watched as before, and are the file's."""
        of_file = {(chain.chain_id, address) for chain in self._chains.values() for address in chain.tokens}
        return tuple(token for token in self._added_tokens if (token.chain_id, token.address) in of_file)

    def tokens(self) -> Sequence[WatchedToken]:
        listed = {
            (chain.chain_id, address): WatchedToken(chain.chain_id, address, source="file")
            for chain in self._chains.values()
            for address in chain.tokens
        }
        for token in self._added_tokens:
            if token.chain_id in self._chains:
                listed.setdefault((token.chain_id, token.address), token)
        return tuple(
            replace(token, info=self._infos.of(chain_id, address) or token.info)
            for (chain_id, address), token in sorted(listed.items())
        )

    async def describe(self, chain_id: int, tokens: Collection[Address]) -> Mapping[str, TokenInfo]:
        """What these tokens, and the native coin, say of themselves."""
        return await self._infos.describe(chain_id, tokens)

    async def say_otherwise(
        self, chain_id: int, tokens: Collection[Address], block: BlockHash
    ) -> Mapping[Address, TokenInfo]:
        """Those of them that say something else of themselves at this block than is kept."""
        return await self._infos.changed(chain_id, tokens, block)

    async def keep_told(self, chain_id: int, told: Mapping[Address, TokenInfo]) -> None:
        """What these say of themselves from now on."""
        await self._infos.keep(chain_id, told)

    # --- changing ----------------------------------------------------------------------------------------------------

    async def add_solver(self, name: str, address: Address, chains: Sequence[int] | None) -> Solver:
        async with self._storing:
            return await self._add_solver(name, address, chains)

    async def _add_solver(self, name: str, address: Address, chains: Sequence[int] | None) -> Solver:
        for solver in self.solvers():
            if solver.name == name:
                raise NameTaken(f"a solver named {name!r} is watched already", field="name")
            if solver.address == address:
                raise Impossible(f"{address} is watched already, as solver {solver.name!r}", field="address")
        hidden = self.hidden_solvers()
        if by := next((one.by for one in hidden if one.solver.name == name), None):
            raise NameTaken(f"a solver named {name!r} was added before, and {by!r} of the file hides it", field="name")
        unknown = sorted(set(chains or ()) - self._chains.keys())
        if unknown:
            raise Impossible(f"chain {unknown[0]} is not configured", field="chains")
        for one in hidden:
            if one.solver.address == address:  # lost to a name of the file: it has another one from now on
                await self._forget_solver(one.solver.name)
        solver = Solver(name, address, None if chains is None else tuple(chains), source="api")
        await self._watchlist.add_solver(solver)
        self._added = (*(kept for kept in self._added if kept.name != name), solver)
        log.info("solver_added", solver=name, address=address)
        self._tell(chain_id for chain_id in self._chains if solver.is_on(chain_id))
        return solver

    async def remove_solver(self, name: str) -> None:
        async with self._storing:
            await self._remove_solver(name)

    async def _remove_solver(self, name: str) -> None:
        solver = {solver.name: solver for solver in (*self._added, *self._from_file)}.get(name)
        if solver is None:
            raise NotFound(f"no solver is named {name!r}", field="name")
        if solver.source == "file":
            raise Impossible(
                f"solver {name!r} is defined in the configuration file; remove it there and reload", field="name"
            )
        is_watched = name not in {one.solver.name for one in self.hidden_solvers()}
        await self._forget_solver(name)
        if is_watched:
            self._tell(chain_id for chain_id in self._chains if solver.is_on(chain_id))

    async def _forget_solver(self, name: str) -> None:
        await self._watchlist.remove_solver(name)
        self._added = tuple(kept for kept in self._added if kept.name != name)
        log.info("solver_removed", solver=name)

    async def add_tokens(self, chain_id: int, addresses: Sequence[Address]) -> tuple[Sequence[WatchedToken], bool]:
        """All of them or none: the node is asked about each before anything is stored."""
        if chain_id not in self._chains:
            raise NotFound(f"chain {chain_id} is not configured", field="chain")
        known = {token.address: token for token in self.tokens() if token.chain_id == chain_id}
        wanted = dict.fromkeys(addresses)
        unknown = [(address, f"addresses[{index}]") for index, address in enumerate(wanted) if address not in known]
        found = await self._infos.probed(chain_id, unknown)
        async with self._storing:
            new = await self._keep_tokens(chain_id, found) if found else []
        listed = {token.address: token for token in self.tokens() if token.chain_id == chain_id}
        return tuple(listed[address] for address in wanted if address in listed), bool(new)

    async def _keep_tokens(self, chain_id: int, found: Sequence[WatchedToken]) -> Sequence[WatchedToken]:
        """Those that nobody added while the node was asked."""
        known = {token.address for token in self.tokens() if token.chain_id == chain_id}
        new = [token for token in found if token.address not in known]
        if new:
            await self._watchlist.add_tokens(new)
            self._added_tokens = (*self._added_tokens, *new)
            log.info("tokens_added", chain=chain_id, tokens=[token.address for token in new])
            self._tell((chain_id,))
        return new

    async def remove_token(self, chain_id: int, address: Address) -> None:
        async with self._storing:
            await self._remove_token(chain_id, address)

    async def _remove_token(self, chain_id: int, address: Address) -> None:
        token = next((t for t in self.tokens() if (t.chain_id, t.address) == (chain_id, address)), None)
        if token is None:
            raise NotFound(f"token {address} is not watched on chain {chain_id}", field="address")
        if token.source == "file":
            raise Impossible(
                f"token {address} is defined in the configuration file; remove it there and reload", field="address"
            )
        await self._watchlist.remove_token(chain_id, address)
        self._added_tokens = tuple(t for t in self._added_tokens if (t.chain_id, t.address) != (chain_id, address))
        log.info("token_removed", chain=chain_id, token=address)
        self._tell((chain_id,))

    def configure(self, chains: Iterable[WatchedChain], solvers: Iterable[Solver]) -> None:
        """Take over a new file; only chains for which the watch differs are told."""
        before = self._chains.keys()
        self._chains = {chain.chain_id: chain for chain in chains}
        self._from_file = tuple(replace(solver, source="file") for solver in solvers)
        for chain in self._chains.values():
            self._infos.configure(chain.chain_id, chain.native)
            if chain.chain_id not in before:
                watch = self._told[chain.chain_id] = self._made(chain.chain_id)
                self._due[chain.chain_id] = watch.of(self.due(chain.chain_id))
        self._told = {chain_id: self._told[chain_id] for chain_id in self._chains}
        self._tell(
            chain_id for chain_id in self._chains if chain_id in before and self._told[chain_id] != self._made(chain_id)
        )

    # --- telling -----------------------------------------------------------------------------------------------------

    def _tell(self, chain_ids: Iterable[int]) -> None:
        """It costs what changed: with 1,000 solvers, all that is watched is made of 5,000 balances."""
        for chain_id in [chain_id for chain_id in chain_ids if chain_id in self._chains]:
            before, watch = self.watch(chain_id), self._made(chain_id)
            self._due[chain_id] = (self.due(chain_id) - before.beyond(watch)) | watch.beyond(before)
            self._told[chain_id] = watch
            self._changed(chain_id, watch)

    def _made(self, chain_id: int) -> Watch:
        added = (token.address for token in self._added_tokens if token.chain_id == chain_id)
        return Watch(
            tokens=frozenset((*self._chains[chain_id].tokens, *added)),
            solvers=frozenset(solver.address for solver in self.solvers() if solver.is_on(chain_id)),
        )
