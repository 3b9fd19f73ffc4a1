"""What one machine answers to one call, as geth and its like do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from indexer.clients.evm.asking import multiread
from indexer.domain.chain import NATIVE, Address, BlockHash, BlockRef, Holding, TokenInfo
from tests.sim.rpc.dialects import NO_OVERRIDES, RANGE_TOO_LONG, RESULT_TOO_LONG, Dialect, Words
from tests.sim.rpc.encoded import Encoded, Log
from tests.sim.rpc.machine import Machine
from tests.sim.rpc.strays import Run, Strays, facts_of
from tests.sim.world import CHAIN_ID, EVERYTHING, OUTSIDE, Block

_GOOD: Final = 32 << 1 | 1
_PLAIN: Final = {bytes.fromhex(address[2:]): address for address in (*EVERYTHING.tokens, *EVERYTHING.solvers, OUTSIDE)}
_LEVELS: Final = {"safe": 0, "finalized": 1}


class Refused(Exception):
    """An error object instead of a result."""

    def __init__(self, words: Words, **numbers: int) -> None:
        code, text = words
        said = text.format(**numbers) if numbers else text
        super().__init__(said)
        self.words: Words = (code, said)


@dataclass(frozen=True)
class Manners:
    """How an endpoint answers: its words, and what it takes at once."""

    dialect: Dialect
    range_most: int | None = None
    results_most: int | None = None
    words: int = 0
    """Which of the wordings for a refused range, result or batch it uses."""
    batch_most: int | None = None
    overrides: str = "taken"
    """`taken`, `refused`, or `ignored`: then whatever contract is there is called, if any."""
    gas_for: int | None = None
    """For how many balances of each kind its gas suffices in one call."""
    facts: str = "own"
    """What its programs see: `own`, `unkept` (no hashes in the state), `foreign` (the number and the hash of another
    chain's block), or `next` (as in the block above)."""
    tells_logs: bool = True
    """It takes subscriptions to logs."""


class Methods:
    """Answers calls for one endpoint, out of whichever machine it is given."""

    def __init__(self, manners: Manners, encoded: Encoded, strays: Strays | None = None) -> None:
        self._manners = manners
        self._strays = strays
        self._encoded = encoded
        self._known: dict[str, Callable[[Machine, Sequence[Any]], Any]] = {
            "eth_chainId": lambda _machine, _params: hex(CHAIN_ID),
            "net_version": lambda _machine, _params: str(CHAIN_ID),
            "eth_syncing": lambda _machine, _params: False,
            "eth_blockNumber": lambda machine, _params: hex(machine.tip.head.number),
            "eth_getBlockByNumber": lambda machine, params: self._header(_numbered(machine, params[0])),
            "eth_getBlockByHash": lambda machine, params: self._header(machine.find(params[0])),
            "eth_getBlockTransactionCountByHash": lambda machine, params: _count(machine.find(params[0])),
            "eth_getLogs": lambda machine, params: self._logs(machine, params[0]),
            "eth_getBalance": self._balance,
            "eth_call": self._call,
            "eth_getCode": lambda _machine, params: "0x60" if params[0].lower() in _TOKENS else "0x",
        }

    def answer(self, machine: Machine, method: str, params: Sequence[Any]) -> Any:
        known = self._known.get(method)
        if known is None:
            raise Refused((-32601, f"the method {method} does not exist/is not available"))
        return known(machine, params)

    def _header(self, block: Block | None) -> Any:
        return None if block is None else orjson.Fragment(self._encoded.header(block))

    # --- logs --------------------------------------------------------------------------------------------------------

    def _logs(self, machine: Machine, wanted: Mapping[str, Any]) -> Any:
        if "blockHash" in wanted:
            block = machine.find(BlockHash(wanted["blockHash"]))
            if block is None:
                if self._manners.dialect.no_logs_block is None:
                    return None
                raise Refused(self._manners.dialect.no_logs_block)
            return [orjson.Fragment(log.json) for log in self._encoded.logs(block) if matches(log, wanted)]
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        most = self._manners.range_most
        if most is not None and last - first + 1 > most:
            raise Refused(RANGE_TOO_LONG[self._manners.words % len(RANGE_TOO_LONG)], most=most)
        # Like real nodes: what lies beyond the head is left out without a word.
        blocks = (machine.at(number) for number in range(first, min(last, machine.tip.head.number) + 1))
        found = [
            orjson.Fragment(log.json)
            for block in blocks
            if block is not None
            for log in self._encoded.logs(block)
            if matches(log, wanted)
        ]
        most = self._manners.results_most
        if most is not None and len(found) > most and last > first:
            raise Refused(RESULT_TOO_LONG[self._manners.words % len(RESULT_TOO_LONG)], most=most)
        return found

    # --- state -------------------------------------------------------------------------------------------------------

    def _balance(self, machine: Machine, params: Sequence[Any]) -> str:
        block = self._state(machine, params[1])
        return hex(_held(block, NATIVE, params[0]))

    def _call(self, machine: Machine, params: Sequence[Any]) -> str:
        call = params[0]
        overrides = params[2] if len(params) > 2 else None
        if overrides is not None and self._manners.overrides == "refused":
            raise Refused(NO_OVERRIDES)
        block = self._state(machine, params[1])
        data, place = bytes.fromhex(call["data"][2:]), call["to"].lower()
        if overrides is not None and self._manners.overrides == "taken" and place in overrides:
            return self._program(overrides[place]["code"], machine, block, data)
        if place == multiread.PLACE and self._manners.facts != "unkept":
            raise Refused((3, "execution reverted"))
        if place not in _TOKENS:
            return "0x"
        selector = data[:4].hex()
        if selector == multiread.BALANCE_OF:
            return f"0x{_held(block, _TOKENS[place], '0x' + data[16:36].hex()):064x}"
        said = _SAID.get(selector)
        return "0x" if said is None else said(block.info(_TOKENS[place]))

    def _program(self, code: str, machine: Machine, block: Block, data: bytes) -> str:
        """The program of the multi-read, known by its code; any other would be a change that we must learn."""
        if code != _PROGRAM:
            raise AssertionError(f"an unknown program: {code}")
        kind = self._manners.facts
        run = Run(block, block)
        if self._strays is not None:
            run = self._strays.run(machine, block, keeps_hashes=kind != "unkept")
        facts = facts_of(run, int.from_bytes(data[-32:]), kind, machine)
        end = int.from_bytes(data[-64:-32])
        return "0x" + self._balances(run.state, data[:end], data[end:-64]) + facts + data[:32].hex()

    def _balances(self, block: Block, coins: bytes, tokens: bytes) -> str:
        wallets = [_plain(coins[at : at + 20]) for at in range(0, len(coins), 20)][: self._manners.gas_for]
        words = [f"{block.balances.get(Holding(NATIVE, wallet), 0):064x}" for wallet in wallets]
        pairs = [tokens[at : at + 40] for at in range(0, len(tokens), 40)]
        for one in pairs[: self._manners.gas_for]:
            token = _plain(one[:20])
            words.append(f"{_GOOD if token in EVERYTHING.tokens else 1:064x}")
            words.append(f"{block.balances.get(Holding(token, _plain(one[20:])), 0):064x}")
        return "".join(words)

    def _state(self, machine: Machine, place: Any) -> Block:
        """The block to read at, by EIP-1898 hash, by number or by tag."""
        is_pinned = isinstance(place, dict)
        block = machine.find(BlockHash(place["blockHash"])) if is_pinned else _numbered(machine, place)
        if block is None:
            raise Refused(self._manners.dialect.no_state_block)
        if not machine.has_state(block):
            raise Refused(self._manners.dialect.pruned)
        return block


def _numbered(machine: Machine, place: str) -> Block | None:
    if place in ("latest", "pending"):
        return machine.tip
    if place in _LEVELS:
        return machine.tagged(_LEVELS[place])
    return machine.at(0 if place == "earliest" else int(place, 16))


def _count(block: Block | None) -> str | None:
    return None if block is None else hex(len(block.transfers))


def matches(log: Log, wanted: Mapping[str, Any]) -> bool:
    addresses = wanted.get("address")
    if addresses is not None and log.address not in (addresses if isinstance(addresses, list) else (addresses,)):
        return False
    for topic, asked in zip(log.topics, wanted.get("topics", ()), strict=False):
        if asked is not None and topic not in (asked if isinstance(asked, list) else (asked,)):
            return False
    return True


def _held(block: Block, token: str, wallet: str) -> int:
    return block.balances.get(Holding(token, _plain(bytes.fromhex(wallet[2:]))), 0)


def _plain(raw: bytes) -> Address:
    return _PLAIN.get(raw) or Address("0x" + raw.hex())


def _code(params: Sequence[Any]) -> str:
    """The program in the parameters of a multi-read, as it is sent."""
    (placed,) = orjson.loads(orjson.dumps(params[2])).values()
    return str(placed["code"])


_ANY: Final = BlockRef(0, BlockHash(""), 0)
_PROGRAM: Final = _code(multiread.params(b"", b"", _ANY))
_TOKENS: Final = {token.lower(): token for token in EVERYTHING.tokens}
_SAID: Final[Mapping[str, Callable[[TokenInfo], str]]] = {
    "313ce567": lambda info: f"0x{info.decimals:064x}",
    "95d89b41": lambda info: _text(info.symbol or ""),
    "06fdde03": lambda info: _text(info.name or ""),
}
"""By selector: decimals, symbol and name."""


def _text(said: str) -> str:
    return f"0x{32:064x}{len(said):064x}{said.encode().hex():0<64}"
