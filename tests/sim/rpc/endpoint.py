"""One URL of the simulated world: bytes in, bytes out, and everything that goes wrong in between.

What no client can find out is not simulated, since no test could ever pass it: a balance that was asked for alone and
is another block's, logs that are left out of an answer while others of the same wallet are in it, an empty list for a
block that it has not together with a load balancer that takes a batch apart. Nor what `Lapses` does not leave out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, NoReturn

import orjson

from indexer.clients.evm.asking.courier import Answer, NoAnswer
from indexer.errors import NodeUnreachable
from tests.sim.faults import Faults
from tests.sim.rpc.dialects import BATCH_TOO_LONG, NO_BATCHES, PAGES, SICK, SLOW_DOWN, Words
from tests.sim.rpc.gaps import Gaps
from tests.sim.rpc.lapses import Lapses
from tests.sim.rpc.machine import Machine
from tests.sim.rpc.methods import Manners, Methods, Refused

_KINDS: Final = (
    "unreachable",
    "late",
    "throttled",
    "unavailable",
    "page",
    "refused",
    "refused_item",
    "bad_answer",
    "lost_reply",
    "lie",
)
"""At most one of these befalls a request."""

_LATENCY_SECONDS: Final = 0.002
_JSON: Final = {"Content-Type": "application/json"}

Item = dict[str, Any]


class SimEndpoint:
    """A courier to one or two machines; which of them answers is chance."""

    def __init__(
        self,
        machines: Sequence[Machine],
        manners: Manners,
        methods: Methods,
        random: Random,
        faults: Callable[[], Faults],
        gaps: Gaps | None = None,
        lapses: Lapses | None = None,
    ) -> None:
        self.machines = tuple(machines)
        self.asked = 0
        self._manners = manners
        self._methods = methods
        self._random = random
        self._faults = faults
        self._gaps = gaps
        self._lapses = lapses
        self._down_until = 0.0
        self._hangs = False
        self._silent_until = 0.0
        self._full_until = 0.0

    def fail_for(self, seconds: float, *, hangs: bool) -> None:
        self._down_until, self._hangs = asyncio.get_running_loop().time() + seconds, hangs

    def hang_for(self, seconds: float) -> None:
        """It takes questions and answers none, nor those that are on their way."""
        self.fail_for(seconds, hangs=True)
        self._silent_until = self._down_until

    def throttle_for(self, seconds: float) -> None:
        """It answers nothing until then, and says so."""
        self._full_until = asyncio.get_running_loop().time() + seconds

    def recover(self) -> None:
        self._down_until = self._silent_until = 0.0

    async def close(self) -> None:
        """Nothing is kept open."""

    async def post(self, body: bytes, timeout_seconds: float) -> Answer:
        self.asked += 1
        kind = self._befalls()
        await self.reach(timeout_seconds)
        if kind == "late":
            await self._out_of_time(timeout_seconds)
        if self._random.random() < self._faults().slow:
            await asyncio.sleep(min(timeout_seconds, self._random.choice((0.005, 0.03, 0.4))))
        if kind == "unreachable":
            raise NodeUnreachable("the connection failed: ClientOSError")
        if kind in ("throttled", "unavailable", "page"):
            return self._turned_away(kind)
        if (wait := self._full_until - asyncio.get_running_loop().time()) > 0:
            return Answer(429, {"Retry-After": f"{wait:.3f}"}, b"Too Many Requests")
        raw = orjson.dumps(self._answered(orjson.loads(body), kind))
        if asyncio.get_running_loop().time() < self._silent_until:
            await self._out_of_time(timeout_seconds)
        if kind == "bad_answer":
            raw = raw[: self._random.randrange(len(raw))]
        return Answer(200, _JSON, raw)

    # --- on the way --------------------------------------------------------------------------------------------------

    def _befalls(self) -> str | None:
        faults, draw = self._faults(), self._random.random()
        for kind in _KINDS:
            draw -= getattr(faults, kind)
            if draw < 0:
                return kind
        return None

    async def reach(self, timeout_seconds: float) -> None:
        """Fails while it is down: at once, or once nobody waits any more."""
        now = asyncio.get_running_loop().time()
        if now < self._down_until and self._hangs:
            await self._out_of_time(timeout_seconds)
        await asyncio.sleep(_LATENCY_SECONDS)
        if now < self._down_until:
            raise NodeUnreachable("cannot connect: Connection refused")

    async def _out_of_time(self, timeout_seconds: float) -> NoReturn:
        await asyncio.sleep(timeout_seconds)
        raise NoAnswer(f"no answer within {timeout_seconds:g} s")

    def _turned_away(self, kind: str) -> Answer:
        wait = self._random.choice(({}, {"Retry-After": "1"}, {"Retry-After": "0.3"}))
        if kind == "page":
            return Answer(self._random.choice((200, 403, 502)), {}, self._random.choice(PAGES))
        if kind == "unavailable":
            return Answer(503, wait, self._random.choice(PAGES))
        said = orjson.dumps(_error(None, self._random.choice(SLOW_DOWN)))
        return Answer(429, wait, self._random.choice((b"", b"Too Many Requests", said)))

    # --- answering ---------------------------------------------------------------------------------------------------

    def _answered(self, asked: Any, kind: str | None) -> Item | list[Item]:
        if kind == "refused":
            return _error(None, self._random.choice((*SLOW_DOWN, *SICK)))
        machine = self._machine()
        if isinstance(asked, dict):
            return self._marred(kind, machine, [asked], [self._one(machine, asked)])[0]
        most = self._manners.batch_most
        if most is not None and len(asked) > most:
            words = BATCH_TOO_LONG[self._manners.words % len(BATCH_TOO_LONG)] if most > 1 else NO_BATCHES
            return _error(None, Refused(words, most=most, asked=len(asked)).words)
        answered = self._marred(kind, machine, asked, [self._one(machine, call) for call in asked])
        if self._gaps is not None:
            self._gaps.leave_out(asked, answered)
        if self._lapses is not None:
            self._lapses.befall(asked, answered)
        if self._random.random() < self._faults().shuffled:
            self._random.shuffle(answered)
        return answered

    def _machine(self) -> Machine:
        return self.machines[0] if len(self.machines) == 1 else self._random.choice(self.machines)

    def _one(self, machine: Machine, call: Mapping[str, Any]) -> Item:
        try:
            result = self._methods.answer(machine, call["method"], call["params"])
        except Refused as refusal:
            return _error(call["id"], refusal.words)
        return {"jsonrpc": "2.0", "id": call["id"], "result": result}

    def _marred(
        self, kind: str | None, machine: Machine, asked: Sequence[Mapping[str, Any]], answered: list[Item]
    ) -> list[Item]:
        """With one of the replies missing, refused, or about something else."""
        if kind is None:
            return answered
        at = self._random.randrange(len(answered))
        match kind:
            case "refused_item":
                answered[at] = _error(answered[at]["id"], self._random.choice((*SLOW_DOWN, *SICK)))
            case "lost_reply" if len(answered) > 1:
                del answered[at]
            case "lie":
                answered[at] = self._lied(machine, asked[at], answered[at])
            case _:
                pass
        return answered

    def _lied(self, machine: Machine, call: Mapping[str, Any], item: Item) -> Item:
        """An answer to another question, where whoever asked can see that it is one."""
        method, params = call["method"], call["params"]
        if method == "eth_getBlockByNumber" and params[0].startswith("0x"):
            return (
                self._one(machine, {**call, "params": [hex(int(params[0], 16) - 1), False]})
                if params[0] != "0x0"
                else item
            )
        if method == "eth_getLogs" and "blockHash" in params[0]:
            block = machine.find(params[0]["blockHash"])
            below = None if block is None else machine.find(block.head.parent)
            if below is not None:
                other = self._one(machine, {**call, "params": [{**params[0], "blockHash": below.head.hash}]})
                # Nothing at all would be a lie that nobody can see.
                return other if other.get("result") else item
        if method in ("eth_getBalance", "eth_call") and "result" in item:
            return {**item, "result": "0x?"}
        return item


def _error(number: Any, words: Words) -> Item:
    code, text = words
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}}
