"""Who and what is watched: from the file, and added while running; chains are told what changes for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, TypeVar

import structlog

from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Address, Holding, TokenInfo
from indexer.domain.watching import HiddenSolver, Solver, WatchedToken, hidden_by
from indexer.errors import Impossible, NameTaken, NotAToken, NotFound

log = structlog.get_logger(__name__)

T = TypeVar("T")

_PROBED_AT_ONCE: Final = 16
"""A thousand tokens, one after the other, would take longer than anybody waits."""


class Node(Protocol):
    """Asks a token what it is; `probe` raises `NotAToken`."""

    async def probe(self, token: Address) -> TokenInfo: ...

    async def describe(self, token: Address) -> TokenInfo: ...


class Watchlist(Protocol):
    """What was added while running, and survives a restart."""

    async def solvers(self) -> Sequence[Solver]: ...

    async def add_solver(self, solver: Solver) -> None: ...

    async def remove_solver(self, name: str) -> None: ...

    async def tokens(self) -> Sequence[WatchedToken]: ...

    async def add_tokens(self, tokens: Sequence[WatchedToken]) -> None: ...

    async def remove_token(self, chain_id: int, address: Address) -> None: ...


class TokenBook(Protocol):
    """What tokens said of themselves."""

    async def get(self, chain_id: int) -> Mapping[Address, TokenInfo]: ...

    async def put(self, chain_id: int, address: Address, info: TokenInfo) -> None: ...


class Within(Protocol):
    """Waits for what a chain's node is asked on behalf of somebody, in bounds."""

    async def __call__(self, chain_id: int, work: Coroutine[Any, Any, T], /) -> T: ...


async def _however_long(_chain_id: int, work: Coroutine[Any, Any, T], /) -> T:
    """For those whom nobody waits for."""
    return await work


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
        within: Within = _however_long,
    ) -> None:
        self._chains = {chain.chain_id: chain for chain in chains}
        self._from_file = tuple(replace(solver, source="file") for solver in solvers)
        self._watchlist = watchlist
        self._book = book
        self._node = node
        self._changed = changed
        self._within = within
        self._added: tuple[Solver, ...] = ()
        self._added_tokens: tuple[WatchedToken, ...] = ()
        self._infos: dict[int, dict[str, TokenInfo]] = {}
        self._unusable: set[tuple[int, Address]] = set()
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
            infos: dict[str, TokenInfo] = {NATIVE: chain.native}
            known = await self._book.get(chain.chain_id)
            infos.update((str(address), info) for address, info in known.items())
            self._infos[chain.chain_id] = infos
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
            replace(token, info=self._infos.get(chain_id, {}).get(address, token.info))
            for (chain_id, address), token in sorted(listed.items())
        )

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
            raise Impossible(f"solver {name!r} is defined in the configuration file; remove it there and reload")
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
        found = await self._within(chain_id, self._probed(chain_id, unknown)) if unknown else []
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
            raise Impossible(f"token {address} is defined in the configuration file; remove it there and reload")
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
            self._infos.setdefault(chain.chain_id, {})[NATIVE] = chain.native
            if chain.chain_id not in before:
                watch = self._told[chain.chain_id] = self._made(chain.chain_id)
                self._due[chain.chain_id] = watch.of(self.due(chain.chain_id))
        self._told = {chain_id: self._told[chain_id] for chain_id in self._chains}
        self._tell(
            chain_id for chain_id in self._chains if chain_id in before and self._told[chain_id] != self._made(chain_id)
        )

    # --- describing --------------------------------------------------------------------------------------------------

    async def describe(self, chain_id: int, tokens: Collection[Address]) -> Mapping[str, TokenInfo]:
        """What these tokens say of themselves, asked once and kept; the native coin is always among them."""
        infos = self._infos.setdefault(chain_id, {})
        for token in sorted(set(tokens) - infos.keys()):
            try:
                infos[token] = await self._node(chain_id).describe(token)
            except NotAToken as error:
                if (chain_id, token) not in self._unusable:
                    self._unusable.add((chain_id, token))
                    log.warning("token_unusable", chain=chain_id, token=token, reason=str(error))
                continue
            await self._book.put(chain_id, token, infos[token])
        return infos

    async def _probed(self, chain_id: int, tokens: Sequence[tuple[Address, str]]) -> list[WatchedToken]:
        """Several at a time, in order: of those that are none, the first is refused."""
        found: list[WatchedToken] = []
        for at in range(0, len(tokens), _PROBED_AT_ONCE):
            part = tokens[at : at + _PROBED_AT_ONCE]
            asked = (self._probe(chain_id, address, field) for address, field in part)
            infos = await asyncio.gather(*asked, return_exceptions=True)
            for (address, _), info in zip(part, infos, strict=True):
                if isinstance(info, BaseException):
                    raise info
                found.append(WatchedToken(chain_id, address, info))
        return found

    async def _probe(self, chain_id: int, address: Address, field: str) -> TokenInfo:
        try:
            info = await self._node(chain_id).probe(address)
        except NotAToken as error:
            raise Impossible(str(error), field) from error
        await self._book.put(chain_id, address, info)
        self._infos.setdefault(chain_id, {})[address] = info
        return info

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
