"""A simulated websocket: announces what its machine adopts, and forgets, repeats, delays, floods or falls silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

import orjson

from indexer.errors import NodeUnreachable
from tests.sim.faults import Faults
from tests.sim.rpc.encoded import Encoded
from tests.sim.rpc.machine import Machine
from tests.sim.rpc.methods import Manners, Methods, Refused, matches
from tests.sim.world import Block

_LATENCY_SECONDS: Final = 0.001
_FLOOD: Final = 300
_GARBAGE: Final = b'{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xdead","result":{}}}'


class SimLine:
    """One connection of the service to one machine."""

    def __init__(
        self,
        machine: Machine,
        *,
        manners: Manners,
        methods: Methods,
        encoded: Encoded,
        random: Random,
        faults: Callable[[], Faults],
    ) -> None:
        self.machine = machine
        self._manners = manners
        self._methods = methods
        self._encoded = encoded
        self._random = random
        self._faults = faults
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._subscriptions: dict[str, Mapping[str, Any] | None] = {}
        """By their id: a filter of logs, or nothing for heads."""
        self._speaks = self._answers = self._is_open = True
        self._made = 0
        machine.listeners[id(self)] = self._adopted

    # --- as the service sees it --------------------------------------------------------------------------------------

    async def send(self, frame: bytes) -> None:
        if not self._is_open:
            raise NodeUnreachable("the websocket was closed: ConnectionClosedError")
        asyncio.get_running_loop().call_later(_LATENCY_SECONDS, self._reply, orjson.loads(frame))

    async def receive(self) -> bytes:
        frame = await self._frames.get()
        if frame is None:
            raise NodeUnreachable("the websocket was closed: ConnectionClosedError")
        return frame

    async def close(self) -> None:
        self.break_off()

    # --- as the world treats it --------------------------------------------------------------------------------------

    def break_off(self) -> None:
        self._is_open = self._speaks = False
        self.machine.listeners.pop(id(self), None)
        self._frames.put_nowait(None)

    def fall_silent(self) -> None:
        """Pings pass, and nothing else."""
        self._speaks = self._answers = False

    def _reply(self, asked: Mapping[str, Any]) -> None:
        if not self._answers or not self._is_open:
            return
        try:
            result = self._answered(asked["method"], asked["params"])
        except Refused as refusal:
            code, text = refusal.words
            said: dict[str, Any] = {"error": {"code": code, "message": text}}
        else:
            said = {"result": result}
        self._frames.put_nowait(orjson.dumps({"jsonrpc": "2.0", "id": asked["id"], **said}))

    def _answered(self, method: str, params: Sequence[Any]) -> Any:
        if method == "eth_subscribe":
            if params[0] == "logs" and not self._manners.tells_logs:
                raise Refused((-32601, "the method eth_subscribe logs does not exist/is not available"))
            self._made += 1
            name = hex(self._made)
            self._subscriptions[name] = params[1] if params[0] == "logs" else None
            return name
        if method == "eth_unsubscribe":
            return self._subscriptions.pop(params[0], None) is not None
        return self._methods.answer(self.machine, method, params)

    # --- announcing --------------------------------------------------------------------------------------------------

    def _adopted(self, dropped: Sequence[Block], added: Sequence[Block]) -> None:
        faults, draw = self._faults(), self._random.random
        if draw() < faults.silent_socket:
            self.fall_silent()
        if draw() < faults.closed_socket:
            self.break_off()
        if draw() < faults.half_closed_socket:
            self._answers = False
        if not self._speaks:
            return
        if draw() < faults.flood:
            self._flood()
        if self._manners.dialect.tells_removed:
            for block in dropped:
                self._tell_logs(block, removed=True)
        for block in added if self._manners.dialect.announces_each else added[-1:]:
            self._announce(block)

    def _announce(self, block: Block) -> None:
        faults, draw, loop = self._faults(), self._random.random, asyncio.get_running_loop()
        if draw() < faults.late_logs:
            loop.call_later(self._random.uniform(0.01, 1.0), self._tell_logs, block)
        else:
            self._tell_logs(block)
        if draw() < faults.skipped_head:
            return
        if draw() < faults.late_head:
            loop.call_later(self._random.uniform(0.1, 3.0), self._tell_head, block)
        else:
            self._tell_head(block)
        if draw() < faults.repeated_head:
            loop.call_later(self._random.choice((0.0, 0.5)), self._tell_head, block)

    def _tell_head(self, block: Block) -> None:
        for name, wanted in self._subscriptions.items():
            if wanted is None:
                self._notify(name, self._encoded.header(block))

    def _tell_logs(self, block: Block, *, removed: bool = False) -> None:
        for name, wanted in self._subscriptions.items():
            if wanted is None:
                continue
            for log in self._encoded.logs(block):
                if matches(log, wanted):
                    told = log.json.replace(b'"removed":false', b'"removed":true') if removed else log.json
                    self._notify(name, told)

    def _notify(self, name: str, result: bytes) -> None:
        if self._speaks:
            frame = b'{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"%b","result":%b}}'
            self._frames.put_nowait(frame % (name.encode(), result))

    def _flood(self) -> None:
        """Subscriptions that nobody made, and the newest head over and over."""
        for _ in range(_FLOOD):
            self._frames.put_nowait(_GARBAGE)
            self._tell_head(self.machine.tip)
