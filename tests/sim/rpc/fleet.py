"""The endpoints of a story: who they are is drawn from its seed, and what befalls them as it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Final

from indexer.clients.evm import EvmNode, HeadFeed, connect
from indexer.errors import NodeUnreachable
from tests.sim.faults import LATER, Faults
from tests.sim.rpc.dialects import DIALECTS
from tests.sim.rpc.encoded import Encoded
from tests.sim.rpc.endpoint import SimEndpoint
from tests.sim.rpc.gaps import Gaps
from tests.sim.rpc.hangs import Hangs
from tests.sim.rpc.laggards import Laggards
from tests.sim.rpc.lapses import Lapses
from tests.sim.rpc.line import SimLine
from tests.sim.rpc.machine import Machine
from tests.sim.rpc.methods import Manners, Methods
from tests.sim.rpc.nobody import Nobody
from tests.sim.rpc.strays import Strays
from tests.sim.world import CHAIN_ID, World

_OPEN_SECONDS: Final = 5.0
_FACTS: Final = ("unkept", "foreign", "next")
_NAMES: Final = ("one", "two", "three")
_OUTAGE_SECONDS: Final = (0.5, 3.0, 10.0, 40.0)


class Fleet:
    """One to three endpoints, one or two machines behind each, and the websockets to them."""

    def __init__(
        self, world: World, random: Random, faults: Callable[[], Faults], apart: Mapping[str, Random] | None = None
    ) -> None:
        self._world = world
        self._random = random
        self._faults = faults
        self._encoded = Encoded()
        apart = apart or dict.fromkeys(LATER, random)
        self._gaps = Gaps(faults, apart["left_out"])
        self._lapses = Lapses(faults, apart["left_out_of_range"], apart["other_hash"])
        self._strange = apart["other_block"]
        self._strays = Strays(faults, self._strange)
        self._twins: dict[Machine, str] = {}
        self._manners: dict[str, Manners] = {}
        self._endpoints: dict[str, SimEndpoint] = {}
        self._lines: list[tuple[str, SimLine]] = []
        is_calm = faults().limited == 0
        tag_lags = random.choice(((6, 12), (6, 60), (2, 6), None))  # what is final bounds all reorgs
        names = _NAMES[: 1 if is_calm else random.choice((1, 2, 2, 3))]
        for name in names:
            self._endpoints[name] = self._endpoint(name, tag_lags)
        self.is_archive = all(machine.state_depth is None for machine in self._machines())
        self._lapses.is_archive = self.is_archive
        self.laggards = Laggards(self._endpoints, faults, apart["stands_still"])
        self.hangs = Hangs(self._endpoints, self._lines, faults, apart["hang_at_reorg"])
        self._anew = apart["begins_anew"]
        self.rpc_urls = [f"http://{name}.sim/" for name in names]
        self.ws_urls = [f"ws://{name}.sim/" for name in names[: random.choice((0, 1, 1, 2)) if not is_calm else 1]]

    @property
    def asked(self) -> int:
        return sum(endpoint.asked for endpoint in self._endpoints.values())

    def described(self) -> Iterator[str]:
        for name, endpoint in self._endpoints.items():
            yield f"{name}: {self._manners[name]}"
            for machine in endpoint.machines:
                yield f"    {machine} {self._twins.get(machine, '')}"
        yield f"websockets: {self.ws_urls}"
        if self.laggards.has_one:
            yield f"{self.laggards.name} {self.laggards.fate}"

    def client(
        self, rpc_urls: Sequence[str] | None = None, ws_urls: Sequence[str] | None = None
    ) -> tuple[EvmNode, HeadFeed]:
        """The real one, as a newly started process makes it, or a file that names other URLs."""
        return connect(
            chain="sim",
            rpc_urls=self.rpc_urls if rpc_urls is None else rpc_urls,
            ws_urls=self.ws_urls if ws_urls is None else ws_urls,
            chain_id=CHAIN_ID,
            courier=self.courier,
            opened=self._opened,
            clock=asyncio.get_running_loop().time,
            chance=self._random.random,
        )

    def stranger(self, chain_id: int, rpc_urls: Sequence[str]) -> tuple[EvmNode, HeadFeed]:
        """Of a chain that is not in this world."""
        clock = asyncio.get_running_loop().time
        return connect(
            chain="stranger",
            rpc_urls=rpc_urls,
            chain_id=chain_id,
            courier=lambda _url: Nobody(),
            clock=clock,
            chance=self._random.random,
        )

    # --- what befalls it ---------------------------------------------------------------------------------------------

    def before_reorg(self) -> None:
        """Some machines do not hear of the new branch, and stay on theirs; some endpoints hang."""
        self.hangs.at_reorg()
        for twin, fate in self._twins.items():
            if fate == "forks" and self._random.random() < 0.7:
                twin.is_stuck = True

    def hear(self) -> None:
        """The world's newest block is another one now."""
        for machine in self._machines():
            machine.hear()

    def live(self) -> None:
        """Between two blocks: endpoints go down, twins lag, sync, and extend or leave their forks."""
        for name, endpoint in self._endpoints.items():
            if self._random.random() < self._faults().outage:
                self._fail(name, endpoint)
        self.laggards.live()
        for twin, fate in self._twins.items():
            self._begin_anew(twin)
            if fate == "lags" and self._random.random() < 0.1:
                twin.lag_blocks = self._random.choice((0, 1, 2, 5, 50))
            elif fate == "forks" and twin.is_stuck:
                self._on_fork(twin)
            elif fate == "syncs" and twin.is_stuck:
                self._sync(twin)

    def heal(self) -> None:
        """All is well from now on; sockets that fell silent stay so, since they have to be found."""
        for endpoint in self._endpoints.values():
            endpoint.recover()
        for machine in self._machines():
            machine.catch_up()

    def hang_up(self) -> None:
        """The process at the other end was killed."""
        for _, line in self._lines:
            line.break_off()
        self._lines.clear()

    def _fail(self, name: str, endpoint: SimEndpoint) -> None:
        endpoint.fail_for(self._random.choice(_OUTAGE_SECONDS), hangs=self._random.random() < 0.3)
        for host, line in self._lines:
            if host == name:
                self._random.choice((line.break_off, line.fall_silent))()

    def _begin_anew(self, twin: Machine) -> None:
        """Its disk was lost: it knows nothing but the first block, and syncs."""
        rate = self._faults().begins_anew
        if not rate or twin.is_stuck or twin.is_frozen or self._anew.random() >= rate:
            return
        self._twins[twin] = "syncs"
        for _, line in self._lines:
            if line.machine is twin:
                line.break_off()
        twin.is_stuck = True
        twin.adopt(self._world.canonical[0])

    def _on_fork(self, twin: Machine) -> None:
        draw = self._random.random()
        if draw < 0.3:
            twin.adopt(self._world.grow(twin.tip))
        elif draw < 0.5:
            twin.is_stuck = False
            twin.hear()

    def _sync(self, twin: Machine) -> None:
        canonical = self._world.canonical
        number = twin.tip.head.number + self._random.randint(1, 9)
        if number >= len(canonical) - 1:
            twin.is_stuck = False
            twin.hear()
        else:
            twin.adopt(canonical[number])

    # --- who they are ------------------------------------------------------------------------------------------------

    def _machines(self) -> Sequence[Machine]:
        return [machine for endpoint in self._endpoints.values() for machine in endpoint.machines]

    def _endpoint(self, name: str, tag_lags: tuple[int, int] | None) -> SimEndpoint:
        random, faults = self._random, self._faults()
        machines = [self._machine(tag_lags)]
        if random.random() < faults.twin:
            fates = [
                fate
                for fate, rate in (
                    ("lags", faults.twin_lags),
                    ("forks", faults.twin_forks),
                    ("syncs", faults.twin_syncs),
                )
                if random.random() < rate
            ]
            machines.append(self._twin(random.choice(fates) if fates else "", tag_lags))
        self._manners[name] = manners = self._drawn_manners()
        methods = Methods(manners, self._encoded, self._strays)
        return SimEndpoint(machines, manners, methods, random, self._faults, self._gaps, self._lapses)

    def _machine(self, tag_lags: tuple[int, int] | None) -> Machine:
        random, faults = self._random, self._faults()
        return Machine(
            self._world,
            lag_seconds=random.choice((0.005, 0.05, 0.5, 2.0)) if random.random() < faults.slow_node else 0.0,
            state_depth=random.choice((10, 20, 40)) if random.random() < faults.pruned else None,
            keeps_orphans=random.random() < 0.5,
            tag_lags=tag_lags,
        )

    def _twin(self, fate: str, tag_lags: tuple[int, int] | None) -> Machine:
        twin = self._machine(tag_lags)
        self._twins[twin] = fate
        if fate == "lags":
            twin.lag_blocks = self._random.randint(1, 50)
            twin.adopt(self._world.canonical[max(0, self._world.tip.number - twin.lag_blocks)])
        elif fate == "syncs":
            twin.is_stuck = True
            twin.adopt(self._world.canonical[0])
        return twin

    def _drawn_manners(self) -> Manners:
        random, faults = self._random, self._faults()
        dialect, words = random.choice(DIALECTS), random.randrange(1000)
        if faults.limited == 0:
            return Manners(DIALECTS[0])

        def limit(*choices: int) -> int | None:
            return random.choice(choices) if random.random() < faults.limited else None

        return Manners(
            dialect,
            words=words,
            range_most=limit(1, 5, 20),
            results_most=limit(1, 3, 10),
            batch_most=limit(1, 3, 10, 50),
            overrides=random.choice(("refused", "ignored")) if random.random() < faults.limited else "taken",
            gas_for=limit(1, 2, 5),
            facts=self._strange.choice(_FACTS) if self._strange.random() < faults.limited else "own",
            tells_logs=random.random() >= faults.limited,
        )

    # --- how to reach them -------------------------------------------------------------------------------------------

    def courier(self, url: str) -> SimEndpoint | Nobody:
        return self._endpoints.get(_host(url)) or Nobody()

    async def _opened(self, url: str) -> SimLine:
        name = _host(url)
        endpoint = self._endpoints[name]
        await endpoint.reach(_OPEN_SECONDS)
        if self._random.random() < self._faults().unreachable:
            raise NodeUnreachable("cannot open the websocket: InvalidStatus")
        line = SimLine(
            self._random.choice(endpoint.machines),
            manners=self._manners[name],
            methods=Methods(self._manners[name], self._encoded),
            encoded=self._encoded,
            random=self._random,
            faults=self._faults,
        )
        self._lines.append((name, line))
        return line


def _host(url: str) -> str:
    return url.split("//")[1].split(".", maxsplit=1)[0]
