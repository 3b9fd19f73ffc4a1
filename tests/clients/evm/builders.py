"""Nodes and answers for these tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from indexer.clients.evm import connect
from indexer.clients.evm.node import EvmNode
from indexer.demo.anvil import Anvil
from indexer.domain.chain import Head


@asynccontextmanager
async def node_at(*urls: str, patience_seconds: float = 3.0, **more: Any) -> AsyncIterator[EvmNode]:
    node, _ = connect(chain="test", rpc_urls=urls, patience_seconds=patience_seconds, **more)
    try:
        yield node
    finally:
        await node.close()


async def mined_head(anvil: Anvil, node: EvmNode, blocks: int = 1) -> Head:
    await anvil.mine(blocks)
    return await node.newest()


async def eventually(is_so: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait until something holds; an `AssertionError` when it never does."""
    for _ in range(int(seconds / 0.01)):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"still not so after {seconds} s")


def hashes(count: int) -> Sequence[str]:
    return [f"0x{number:064x}" for number in range(1, count + 1)]
