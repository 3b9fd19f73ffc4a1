"""Blocks and tokens as parts of documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bson import Int64

from indexer.domain.chain import Address, BlockRef, Head, Holding, TokenInfo

Document = dict[str, Any]


def head_document(head: Head) -> Document:
    return {
        "number": Int64(head.number),
        "hash": head.hash,
        "parent": head.parent,
        "timestamp": Int64(head.timestamp),
    }


def head_of(document: Document) -> Head:
    return Head(int(document["number"]), document["hash"], document["parent"], int(document["timestamp"]))


def block_document(block: BlockRef) -> Document:
    return {"number": Int64(block.number), "hash": block.hash, "timestamp": Int64(block.timestamp)}


def block_of(document: Document) -> BlockRef:
    return BlockRef(int(document["number"]), document["hash"], int(document["timestamp"]))


def info_document(info: TokenInfo) -> Document:
    return {"decimals": info.decimals, "symbol": info.symbol, "name": info.name}


def info_of(document: Document) -> TokenInfo:
    return TokenInfo(document["decimals"], document["symbol"], document["name"])


def holdings_document(holdings: Iterable[Holding]) -> Document:
    """By token, which many of them share."""
    document: Document = {}
    for token, solver in holdings:
        document.setdefault(token, []).append(solver)
    return document


def holdings_of(document: Document) -> tuple[Holding, ...]:
    return tuple(Holding(token, Address(solver)) for token, solvers in document.items() for solver in solvers)
