"""A storm of reloads: random changes of the file, mistakes in between, three chains with traffic underneath."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from indexer.demo.contracts import Deployed, deploy
from tests.e2e import truth
from tests.e2e.listening import Subscriber
from tests.e2e.service import Config, Json, Running, running, until
from tests.e2e.world import World
from tests.fixtures.chain import wallets
from tests.fixtures.proxy import Proxy

STEADY = "steady"
"""Its tokens, solvers and interval may change, but nothing that it would have to connect anew for."""

KEYS = ({"name": "tests", "key": "k" * 24, "scopes": ["read", "write", "admin"]},)
DESK = {"name": "desk", "key": "d" * 24}
EXTRA = wallets(6, 0xA000)
NOBODY = "http://127.0.0.1:9"

MISTAKES = (
    "[service\n",
    "\xff\xfe",
    '[chains.bad]\nchain_id = 0\nrpc_urls = ["http://127.0.0.1:1"]\n',
    '[chains.steady]\nchain_id = 31337\nrpc_urls = ["${NOT_SET_ANYWHERE}"]\n',
    '[solvers.zoe]\naddress = "0x12"\n',
    "[sollvers.zoe]\n",
    "",
)


@dataclass(frozen=True)
class Place:
    """A chain with what may be watched on it beyond the usual."""

    name: str
    world: World
    extra: tuple[Deployed, ...]

    @property
    def tokens(self) -> list[str]:
        return [self.world.token.address, *(each.address for each in self.extra)]


class Storm:
    """`rage`, then `settle`, then `check`; the first world is the one that nothing may disturb."""

    def __init__(self, worlds: Sequence[World], folder: Path, *, seed: int) -> None:
        self._worlds = worlds
        self._folder = folder
        self._seed = seed
        self._rng = random.Random(seed)  # noqa: S311 - a script, not a secret
        self._stack = AsyncExitStack()
        self._stop = asyncio.Event()
        self._done: list[str] = []
        self._places: tuple[Place, ...] = ()
        self._traffic: list[asyncio.Task[None]] = []
        self._ears: Proxy
        self._asked: Proxy
        self._service: Running
        self._subscriber: Subscriber
        self._before: Json = {}

    async def __aenter__(self) -> Self:
        names = (STEADY, "second", "third")
        self._places = tuple(
            [Place(name, each, await _more_tokens(each)) for name, each in zip(names, self._worlds, strict=True)]
        )
        self._ears = await self._stack.enter_async_context(Proxy(self._worlds[0].anvil.port))
        self._asked = await self._stack.enter_async_context(Proxy(self._worlds[0].anvil.port))
        config = Config(self._folder, {STEADY: self._table(self._places[0])}, self._worlds[0].solvers, keys=KEYS)
        self._service = await self._stack.enter_async_context(running(config, key=str(KEYS[0]["key"])))
        await self._service.says("socket_open")
        self._subscriber = await self._stack.enter_async_context(
            self._service.subscribed(after={self._places[0].world.stream: 0})
        )
        self._before = await self._traces()
        self._traffic = [asyncio.create_task(self._move(place)) for place in self._places]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(f"seed {self._seed}; the last changes: {self._done[-5:]}")  # noqa: T201 - shown beside the failure
        for task in self._traffic:
            task.cancel()
        await asyncio.gather(*self._traffic, return_exceptions=True)
        await self._stack.aclose()

    # --- changing ----------------------------------------------------------------------------------------------------

    async def rage(self, changes: int) -> None:
        for _ in range(changes):
            if self._rng.random() < 0.2:
                await self._mistake()
            change = self._rng.choice(CHANGES)
            config = change(self, self._service.config)
            self._done.append(change.__name__)
            await self._apply(config)
            await asyncio.sleep(self._rng.uniform(0, 0.05))

    async def _apply(self, config: Config) -> None:
        self._service.config = config
        way = self._rng.choice(("post", "post", "post", "signal", "signal", "signal", "save"))
        written = datetime.now(UTC)
        config.write()
        if way == "post":
            status, applied = await self._service.post("/reload")
            assert (status, applied.get("restartNeeded")) == (200, []), applied
        else:
            if way == "signal":
                self._service.hang_up()
            await until(lambda: self._is_in_force(config, written))
        assert await self._is_in_force(config, None)

    async def _is_in_force(self, config: Config, written: datetime | None) -> bool:
        status = await self._service.get("/status")
        solvers = {item["name"] for item in (await self._service.get("/solvers"))["items"]}
        is_read = written is None or datetime.fromisoformat(status["config"]["loadedAt"]) >= written
        chains = {stream["name"] for name, stream in status["streams"].items() if name.startswith("chain:")}
        desk, _ = await self._service.call("GET", "/api/v1/status", key=DESK["key"])
        agrees = (solvers, chains) == (set(config.solvers), set(config.chains))
        return is_read and agrees and not status["config"]["problems"] and (desk == 200) == (DESK in config.keys)

    async def _mistake(self) -> None:
        """It changes nothing, and is reported."""
        config, text = self._service.config, self._rng.choice(MISTAKES)
        before = await self._watched()
        whole = config.write().read_text()
        draft = config.path.with_suffix(".draft")
        draft.write_bytes((f"{whole}\n{text}" if text else "").encode("latin-1"))
        draft.replace(config.path)
        match self._rng.choice(("post", "post", "signal", "signal", "save")):
            case "post":
                status, problem = await self._service.post("/reload")
                assert (status, problem["status"]) == (422, 422)
            case "signal":
                self._service.hang_up()
        await until(self._is_refused)
        assert await self._watched() == before
        self._done.append(f"mistake {text!r}")

    async def _is_refused(self) -> bool:
        return bool((await self._service.get("/status"))["config"]["problems"])

    async def _watched(self) -> Any:
        streams = (await self._service.get("/status"))["streams"]
        tokens = (await self._service.get("/tokens", limit=1000))["items"]
        return (
            sorted(streams),
            await self._service.get("/solvers"),
            [(each["chainId"], each["tokenAddress"]) for each in tokens],
        )

    def _table(self, place: Place, **more: Any) -> Json:
        steady = {"ws_urls": [self._ears.ws_url], "rpc_urls": [self._asked.http_url]}
        urls = steady if place.name == STEADY else {}
        return place.world.table(place.tokens[0], **urls, **more)

    # --- each change

    def come_or_go(self, config: Config) -> Config:
        """A chain that was there is gone, or one that was not is there."""
        place = self._rng.choice(self._places[1:])
        there = _name_of(config, place)
        if there is None:
            return config.but(chains={**config.chains, place.name: self._table(place)})
        chains = {name: table for name, table in config.chains.items() if name != there}
        return config.but(chains=chains, solvers=_forgotten(config.solvers, there))

    def rename(self, config: Config) -> Config:
        place = self._rng.choice(self._places[1:])
        there = _name_of(config, place)
        if there is None:
            return self.come_or_go(config)
        chains = {name: table for name, table in config.chains.items() if name != there}
        name = f"{place.name}-{self._rng.randrange(3)}"
        return config.but(chains={**chains, name: config.chains[there]}, solvers=_forgotten(config.solvers, there))

    def endpoints(self, config: Config) -> Config:
        place = self._rng.choice(self._places[1:])
        url, anvil = place.world.anvil.http_url, place.world.anvil
        rpc = self._rng.choice(([url], [url, NOBODY], [NOBODY, url]))
        return self._changed(config, place, rpc_urls=rpc, ws_urls=self._rng.choice(([anvil.ws_url], [])))

    def settings(self, config: Config) -> Config:
        place = self._rng.choice(self._places[1:])
        key, values = self._rng.choice(
            (("native_symbol", ["ETH", "XYZ"]), ("reorg_window_blocks", [64, 256]), ("native_interval_blocks", [1, 3]))
        )
        return self._changed(config, place, **{key: self._rng.choice(values)})

    def told(self, config: Config) -> Config:
        """What actors take over while they live, on any chain."""
        key, values = self._rng.choice(
            (("sync_interval_seconds", [1, 3, 300]), ("start_block", ["latest", 3]), ("start_block", ["latest", 1]))
        )
        return self._changed(config, self._rng.choice(self._places), **{key: self._rng.choice(values)})

    def tokens(self, config: Config) -> Config:
        place = self._rng.choice(self._places)
        extra = [token for token in place.tokens[1:] if self._rng.random() < 0.5]
        return self._changed(config, place, tokens=[place.tokens[0], *extra])

    def solvers(self, config: Config) -> Config:
        """One comes, goes, or is watched elsewhere."""
        index = self._rng.randrange(len(EXTRA))
        name, others = f"extra{index}", {key: each for key, each in config.solvers.items() if key != f"extra{index}"}
        if name in config.solvers and self._rng.random() < 0.5:
            return config.but(solvers=others)
        where = [chain for chain in config.chains if self._rng.random() < 0.5]
        table = {"address": EXTRA[index], **({"chains": where} if where else {})}
        return config.but(solvers={**others, name: table})

    def keys(self, config: Config) -> Config:
        return config.but(keys=KEYS if DESK in config.keys else (*KEYS, DESK))

    def _changed(self, config: Config, place: Place, **more: Any) -> Config:
        there = _name_of(config, place)
        if there is None:
            return config.but(chains={**config.chains, place.name: self._table(place)})
        return config.but(chains={**config.chains, there: {**config.chains[there], **more}})

    # --- the end -----------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Everything is watched, and nothing moves any more."""
        self._stop.set()
        await asyncio.gather(*self._traffic)
        solvers = {f"extra{index}": {"address": wallet} for index, wallet in enumerate(EXTRA)}
        await self._apply(
            self._service.config.but(
                chains={place.name: self._table(place, tokens=place.tokens) for place in self._places},
                solvers={**self._worlds[0].solvers, **solvers},
                keys=KEYS,
            )
        )
        await self._service.ready()
        await until(self._has_filled)

    async def _has_filled(self) -> bool:
        jobs = (await self._service.get("/backfill"))["items"]
        return all(job["state"] in ("done", "settling") for job in jobs)

    async def check(self) -> None:
        steady = self._places[0].world
        for place in self._places:
            world = place.world
            await truth.check_history(self._service, world.anvil, world.holdings())
            toggled = [
                (token, wallet)
                for token in ("native", *place.tokens)
                for wallet in (world.acme, *EXTRA)
                if (token, wallet) not in world.holdings()
            ]
            await truth.check_history(self._service, world.anvil, toggled, whole=False)
            events = await self._service.events(world.stream)
            truth.check_dense(events)
            truth.check_linked(events)
        assert await self._traces() == self._before
        events = await self._service.events(steady.stream)
        await self._subscriber.caught_up(steady.stream, len(events))
        assert [each for each in self._subscriber.events if each["stream"] == steady.stream] == events
        assert not self._service.said("actor_died")

    async def _traces(self) -> Json:
        """What a disturbed chain would leave: missed heads, other connections, another life."""
        status = await self._service.stream(self._places[0].world.anvil.chain_id)
        return {
            "connections": self._ears.connections,
            "ended": (self._ears.ended, self._asked.ended),
            "gaps": await self._service.metric(f'indexer_gaps_total{{chain="{STEADY}"}}'),
            "caught up": len(self._service.said("chain_caught_up", chain=STEADY)),
            "restarts": status["restarts"],
        }

    async def _move(self, place: Place) -> None:
        rng, world = random.Random(f"{self._seed} {place.name}"), place.world  # noqa: S311 - a script, not a secret
        while not self._stop.is_set():
            if rng.random() < 0.5:
                await rng.choice(place.extra).send("mint", rng.choice((world.acme, *EXTRA)), rng.randrange(1, 99))
                await world.anvil.send(rng.choice(EXTRA), value=rng.randrange(1, 99))
            await world.stir(rng, rng.randrange(3))
            await asyncio.sleep(rng.uniform(0.05, 0.25))


CHANGES: Sequence[Callable[[Storm, Config], Config]] = (
    Storm.come_or_go,
    Storm.come_or_go,
    Storm.rename,
    Storm.endpoints,
    Storm.settings,
    Storm.told,
    Storm.told,
    Storm.tokens,
    Storm.tokens,
    Storm.solvers,
    Storm.solvers,
    Storm.solvers,
    Storm.keys,
)


async def _more_tokens(world: World) -> tuple[Deployed, ...]:
    tokens = tuple([await deploy(world.anvil, "PlainToken", f"Extra {n}", f"EX{n}", 6) for n in range(2)])
    for token in tokens:
        await token.send("mint", world.acme, 10**6)
    await world.anvil.mine()
    return tokens


def _name_of(config: Config, place: Place) -> str | None:
    """Renamed or not."""
    return next((n for n, table in config.chains.items() if table["chain_id"] == place.world.anvil.chain_id), None)


def _forgotten(solvers: Mapping[str, Json], chain: str) -> dict[str, Json]:
    """Nobody is watched on a chain of that name any more; who would be watched nowhere is watched everywhere."""
    left = {}
    for name, table in solvers.items():
        where = [each for each in table.get("chains", ()) if each != chain]
        left[name] = {"address": table["address"], **({"chains": where} if where else {})}
    return left
