"""Headers and logs as a node writes them; each is encoded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from indexer.clients.evm.transfers.blooms import bits
from indexer.clients.evm.transfers.logs import TRANSFER, topic_of
from indexer.domain.chain import BlockHash, Transfer
from tests.sim.world import Block


@dataclass(frozen=True)
class Log:
    """A log's address and topics, for filters, and the whole of it as JSON."""

    address: str
    topics: tuple[str, ...]
    json: bytes


class Encoded:
    """One per world: blocks never change, so neither does how they are written."""

    def __init__(self) -> None:
        self._headers: dict[BlockHash, bytes] = {}
        self._logs: dict[BlockHash, tuple[Log, ...]] = {}

    def header(self, block: Block) -> bytes:
        found = self._headers.get(block.head.hash)
        if found is None:
            found = self._headers[block.head.hash] = _header(block)
        return found

    def logs(self, block: Block) -> tuple[Log, ...]:
        found = self._logs.get(block.head.hash)
        if found is None:
            found = self._logs[block.head.hash] = tuple(_log(block, transfer) for transfer in block.transfers)
        return found


def _header(block: Block) -> bytes:
    head = block.head
    return orjson.dumps(
        {
            "number": hex(head.number),
            "hash": head.hash,
            "parentHash": head.parent,
            "timestamp": hex(head.timestamp),
            "miner": "0x" + "00" * 20,
            "gasLimit": "0x1c9c380",
            "baseFeePerGas": "0x7",
            "logsBloom": f"0x{_bloom(block):0512x}",
            "transactions": sorted({transfer.transaction for transfer in block.transfers}),
        }
    )


def _bloom(block: Block) -> int:
    found = 0
    for transfer in block.transfers:
        for item in (transfer.token, TRANSFER, topic_of(transfer.sender), topic_of(transfer.recipient)):
            found |= bits(item)
    return found


def _log(block: Block, transfer: Transfer) -> Log:
    topics = (TRANSFER, topic_of(transfer.sender), topic_of(transfer.recipient))
    written: dict[str, Any] = {
        "address": transfer.token.lower(),
        "topics": topics,
        "data": f"0x{transfer.amount:064x}",
        "blockHash": block.head.hash,
        "blockNumber": hex(block.head.number),
        "blockTimestamp": hex(block.head.timestamp),
        "transactionHash": transfer.transaction,
        "transactionIndex": "0x0",
        "logIndex": hex(transfer.log_index),
        "removed": False,
    }
    return Log(transfer.token.lower(), topics, orjson.dumps(written))
