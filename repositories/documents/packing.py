"""Transfer logs, packed: what a backfill keeps between collecting and telling, a quarter of what BSON would take."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

from bson import Binary, Int64

from indexer.domain.chain import NATIVE, Address, BlockHash, BlockRef, Holding, Transfer, TxHash
from indexer.domain.history.backfill import Chunk, Moved, Native

Document = dict[str, Any]

_LOG: Final = struct.Struct(">IIIIII32s")
_NO_AMOUNT: Final = 1 << 31
"""In the place of its index: the log does not say how much."""
_BLOCK: Final = struct.Struct(">QQ32s")


def chunk_document(chunk: Chunk) -> Document:
    """Blocks, addresses and transactions are written once; a log refers to them by their place."""
    blocks: dict[BlockRef, int] = {}
    words: dict[str, int] = {}
    transactions: dict[TxHash, int] = {}
    logs = b"".join(
        _LOG.pack(
            blocks.setdefault(block, len(blocks)),
            words.setdefault(transfer.token, len(words)),
            words.setdefault(transfer.sender, len(words)),
            words.setdefault(transfer.recipient, len(words)),
            transactions.setdefault(transfer.transaction, len(transactions)),
            transfer.log_index | (_NO_AMOUNT if transfer.amount is None else 0),
            (transfer.amount or 0).to_bytes(32),
        )
        for block, transfer in chunk.moved
    )
    natives = [
        {"b": blocks.setdefault(native.block, len(blocks)), "s": native.holding.solver, "v": str(native.balance)}
        for native in chunk.natives
    ]
    return {
        "first": Int64(chunk.first),
        "last": Int64(chunk.last),
        "unread": None if chunk.unread is None else Int64(chunk.unread),
        "logs": Binary(logs),
        "blocks": Binary(b"".join(_BLOCK.pack(b.number, b.timestamp, bytes.fromhex(b.hash[2:])) for b in blocks)),
        "words": list(words),
        "transactions": Binary(b"".join(bytes.fromhex(each[2:]) for each in transactions)),
        "reads": [
            {"n": Int64(number), "t": holding.token, "s": holding.solver, "v": str(value)}
            for number, values in chunk.reads.items()
            for holding, value in values.items()
        ],
        "natives": natives,
    }


def chunk_of(document: Document) -> Chunk:
    blocks = [
        BlockRef(number, BlockHash("0x" + raw.hex()), timestamp)
        for number, timestamp, raw in _BLOCK.iter_unpack(document["blocks"])
    ]
    words: Sequence[Address] = [Address(word) for word in document["words"]]
    transactions = [TxHash("0x" + raw.hex()) for raw in _pieces(document["transactions"], 32)]
    moved = tuple(
        Moved(
            (block := blocks[place]),
            Transfer(
                words[token],
                words[sender],
                words[recipient],
                None if index & _NO_AMOUNT else int.from_bytes(amount),
                block.hash,
                transactions[transaction],
                index & ~_NO_AMOUNT,
                block.number,
            ),
        )
        for place, token, sender, recipient, transaction, index, amount in _LOG.iter_unpack(document["logs"])
    )
    reads: dict[int, dict[Holding, int]] = {}
    for row in document["reads"]:
        reads.setdefault(int(row["n"]), {})[Holding(row["t"], row["s"])] = int(row["v"])
    return Chunk(
        first=int(document["first"]),
        last=int(document["last"]),
        moved=moved,
        reads=reads,
        natives=tuple(
            Native(blocks[row["b"]], Holding(NATIVE, row["s"]), int(row["v"])) for row in document["natives"]
        ),
        unread=None if document["unread"] is None else int(document["unread"]),
    )


def _pieces(raw: bytes, width: int) -> Iterable[bytes]:
    return (raw[start : start + width] for start in range(0, len(raw), width))
