"""The demo's and the tests' contracts: compiled on this machine, deployed from unlocked accounts."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from indexer.addresses import checksum
from indexer.demo.anvil import Anvil
from indexer.demo.tools import tool_roots
from indexer.domain.chain import Address

_SOURCES = Path(__file__).parent / "contracts"
_DEPLOY_GAS = 5_000_000
_WAIT_LOOKS = 1500

_COMPILE = """
const input = require("fs").readFileSync(0, "utf8");
process.stdout.write(require(process.argv[1]).compile(input));
"""

Argument = int | str | bytes | Sequence["Argument"]


class ContractsFailed(Exception):
    """The contracts cannot be compiled or deployed; the message says why."""


@dataclass(frozen=True, slots=True)
class Contract:
    """A compiled contract; `selectors` by signature, such as `transfer(address,uint256)`."""

    name: str
    code: str
    selectors: Mapping[str, str]

    def data(self, function: str, *args: Argument) -> str:
        """Calldata for a function given by its name, or by its signature where the name is not unique."""
        known = [selector for signature, selector in self.selectors.items() if signature.split("(")[0] == function]
        selector = self.selectors.get(function) or (known[0] if known else None)
        if selector is None:
            raise ContractsFailed(f"{self.name} has no function {function}")
        return "0x" + selector + encoded(args).hex()


@dataclass(frozen=True, slots=True)
class Deployed:
    """A contract on a chain."""

    anvil: Anvil
    contract: Contract
    address: Address

    async def send(
        self, function: str, *args: Argument, sender: str | None = None, value: int = 0, gas: int = 1_000_000
    ) -> str:
        """Hand in a call and return the transaction's hash; it waits for a block."""
        data = self.contract.data(function, *args)
        return await self.anvil.send(self.address, data=data, sender=sender, value=value, gas=gas)

    async def call(self, function: str, *args: Argument, block: Any = "latest") -> bytes:
        data = self.contract.data(function, *args)
        return bytes.fromhex((await self.anvil.rpc("eth_call", {"to": self.address, "data": data}, block))[2:])

    async def balance(self, wallet: str, block: Any = "latest") -> int:
        return int.from_bytes(await self.call("balanceOf", wallet, block=block))


async def deploy(anvil: Anvil, name: str, *args: Argument, sender: str | None = None) -> Deployed:
    """Put a contract on the chain and wait for its block; one is mined where the chain mines only when asked."""
    contract = (await compiled())[name]
    data = contract.code + encoded(args).hex()
    transaction = await anvil.send(None, data=data, sender=sender, gas=_DEPLOY_GAS)
    if anvil.block_time is None:
        await anvil.mine()
    receipt = await mined(anvil, transaction)
    if receipt["status"] != "0x1":
        raise ContractsFailed(f"{name} was refused by the chain")
    return Deployed(anvil, contract, checksum(receipt["contractAddress"]))


async def mined(anvil: Anvil, transaction: str) -> dict[str, Any]:
    """The transaction's receipt, once it is in a block."""
    for _ in range(_WAIT_LOOKS):
        receipt = await anvil.rpc("eth_getTransactionReceipt", transaction)
        if receipt is not None:
            return dict(receipt)
        await asyncio.sleep(0.02)
    raise ContractsFailed(f"{transaction} is still in no block")


async def compiled() -> Mapping[str, Contract]:
    """Every contract by name; compiled once per state of the sources, then read from the cache."""
    sources = {path.name: path.read_text() for path in sorted(_SOURCES.glob("*.sol"))}
    question = orjson.dumps(
        {
            "language": "Solidity",
            "sources": {name: {"content": text} for name, text in sources.items()},
            "settings": {
                "optimizer": {"enabled": True},
                # The oldest target that all our chains know; anvil's newest would do as well.
                "evmVersion": "paris",
                "outputSelection": {"*": {"*": ["evm.bytecode.object", "evm.methodIdentifiers"]}},
            },
        }
    )
    cached = _cache() / f"{hashlib.sha256(question).hexdigest()[:32]}.json"
    if not cached.is_file():
        answer = await _solc(question)
        # Renamed into place: two programs that compile at once never read each other's half.
        draft = cached.with_suffix(f".{os.getpid()}")
        cached.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(answer)
        draft.replace(cached)
    files = orjson.loads(cached.read_bytes())["contracts"]
    return {
        name: Contract(name, "0x" + part["evm"]["bytecode"]["object"], part["evm"]["methodIdentifiers"])
        for contracts in files.values()
        for name, part in contracts.items()
    }


def encoded(args: Sequence[Argument]) -> bytes:
    """Arguments in Solidity's ABI: numbers and addresses in place, text, bytes and lists behind them.

    A text that begins with 0x is an address; `bytes` of four or 32 are fixed, others dynamic.
    """
    head, tail = b"", b""
    for arg in args:
        if _is_fixed(arg):
            head += _word(arg)
        else:
            head += (32 * len(args) + len(tail)).to_bytes(32)
            tail += _behind(arg)
    return head + tail


def _is_fixed(arg: Argument) -> bool:
    return isinstance(arg, int) or (isinstance(arg, str) and arg[:2] == "0x") or _is_fixed_bytes(arg)


def _is_fixed_bytes(arg: Argument) -> bool:
    return isinstance(arg, bytes) and len(arg) in (4, 32)


def _word(arg: Argument) -> bytes:
    if isinstance(arg, bytes):
        return arg.ljust(32, b"\0")
    return (arg if isinstance(arg, int) else int(str(arg), 16)).to_bytes(32)


def _behind(arg: Argument) -> bytes:
    if isinstance(arg, str | bytes):
        raw = arg.encode() if isinstance(arg, str) else arg
        return len(raw).to_bytes(32) + raw + bytes(-len(raw) % 32)
    if isinstance(arg, int):
        raise TypeError("numbers have a place of their own")
    return len(arg).to_bytes(32) + encoded(arg)


async def _solc(question: bytes) -> bytes:
    node = shutil.which("node")
    module = _solc_module()
    if node is None or module is None:
        raise ContractsFailed(
            "the Solidity compiler is not installed: run `make setup`, "
            "or install Node and `npm install --prefix .tools solc`"
        )
    process = await asyncio.create_subprocess_exec(
        *(node, "-e", _COMPILE, str(module)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer, complaint = await process.communicate(question)
    if process.returncode:
        raise ContractsFailed(f"the Solidity compiler ended with: {complaint.decode(errors='replace')[-500:]}")
    errors = [entry for entry in orjson.loads(answer).get("errors", ()) if entry["severity"] == "error"]
    if errors:
        raise ContractsFailed("\n".join(entry["formattedMessage"] for entry in errors))
    return answer


def _solc_module() -> Path | None:
    for root in tool_roots():
        if (root / "solc" / "package.json").is_file():
            return root / "solc"
    found = shutil.which("solcjs")
    return Path(found).resolve().parent if found else None


def _cache() -> Path:
    """Beside the local tools where there are any, else in the user's cache."""
    for root in tool_roots():
        if root.is_dir() and os.access(root.parent, os.W_OK):
            return root.parent / "contracts"
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "solver-balance-indexer" / "contracts"
