"""A chain of many blocks, made in seconds: 20,000 of them with 100,000 Transfer logs in about ten.

Blocks are just large enough for one transaction each, so that thousands wait in the pool and one call mines them all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import orjson

from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed, deploy
from indexer.domain.chain import Address

PER_BLOCK: Final = 5
"""Transfer logs in a block; each of another wallet."""

_GAS: Final = 30_000_000
"""Of a block, as on mainnet, and of each transaction: what a read may use follows from it at anvil."""
_MUCH_GAS: Final = 3_000_000_000
_AT_ONCE: Final = 500
"""Blocks for which transactions wait together; the pool is quadratic in them."""

OLD_RULES: Final = ("--hardfork", "shanghai")
"""Since cancun every block writes into a system contract, whose root anvil makes anew: blocks get slower and slower."""


@asynccontextmanager
async def long_chain(args: Sequence[str] = ()) -> AsyncIterator[tuple[Anvil, Deployed]]:
    """An empty one, and a token on it."""
    async with Anvil(args=(*OLD_RULES, *args)) as anvil:
        token = await deploy(anvil, "PlainToken", "Demo Dollar", "DUSD", 6)
        yield anvil, token


async def add_blocks(anvil: Anvil, token: Deployed, people: Sequence[Address], count: int) -> None:
    """So many blocks, in each of which the next five people get something."""
    await anvil.rpc("evm_setBlockGasLimit", hex(_GAS))
    sender = anvil.accounts[0]
    nonce = int(await anvil.rpc("eth_getTransactionCount", sender, "latest"), 16)
    for first in range(0, count, _AT_ONCE):
        part = range(first, min(count, first + _AT_ONCE))
        calls = []
        for number in part:
            start = number * PER_BLOCK % len(people)
            data = token.contract.data("mintMany", people[start : start + PER_BLOCK], 1 + number)
            calls.append({"from": sender, "to": token.address, "data": data, "gas": hex(_GAS), "nonce": nonce + number})
        await _send(anvil, calls)
        await anvil.mine(len(part))
    await anvil.rpc("evm_setBlockGasLimit", hex(_MUCH_GAS))


async def height(anvil: Anvil) -> int:
    return int((await anvil.block())["number"], 16)


async def _send(anvil: Anvil, calls: Sequence[dict[str, Any]]) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": n, "method": "eth_sendTransaction", "params": [call | {"nonce": hex(call["nonce"])}]}
        for n, call in enumerate(calls)
    ]
    headers = {"content-type": "application/json"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(anvil.http_url, data=orjson.dumps(batch), headers=headers) as answer,
    ):
        for each in orjson.loads(await answer.read()):
            if "error" in each:
                raise RuntimeError(f"the chain refused a transaction: {each['error']}")
