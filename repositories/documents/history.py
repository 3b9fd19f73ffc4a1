"""History that was before us, as documents: column by column, since it comes in thousands of records."""

from __future__ import annotations

from typing import Any

from bson import Int64

from indexer.domain.chain import BlockRef, Holding
from indexer.domain.facts import HistoryFilled, HistoryRow, Joint
from repositories.documents.shared import Shared, TokenTable

Document = dict[str, Any]


def encode_filled(fact: HistoryFilled, shared: Shared) -> Document:
    """Column by column: thousands of rows, and no key is written twice."""
    token, solver = fact.holding
    rows = fact.rows
    document: Document = {
        "k": "filled",
        "t": shared.token(token, fact.info),
        "s": solver,
        "from": Int64(fact.first),
        "to": Int64(fact.last),
        "job": fact.job,
        "reason": fact.reason,
        "void": fact.void,
        "final": fact.final,
        "n": [Int64(row.block.number) for row in rows],
        "h": [row.block.hash for row in rows],
        "ts": [Int64(row.block.timestamp) for row in rows],
        "b": [str(row.balance) for row in rows],
        "c": [None if row.change is None else str(row.change) for row in rows],
        "x": [list(row.transactions) for row in rows],
        "f": [row.finality for row in rows],
        "d": [row.derived for row in rows],
    }
    if fact.joint is not None:
        number, change, transactions = fact.joint
        document["joint"] = {"n": Int64(number), "c": str(change), "x": list(transactions)}
    return shared.differing(document, fact.chain_id)


def decode_filled(document: Document, shared: Shared, tokens: TokenTable) -> HistoryFilled:
    token, info = tokens[document["t"]]
    columns = zip(*(document[name] for name in ("n", "h", "ts", "b", "c", "x", "f", "d")), strict=True)
    joint = document.get("joint")
    return HistoryFilled(
        chain_id=shared.chain_of(document),
        holding=Holding(token, document["s"]),
        first=int(document["from"]),
        last=int(document["to"]),
        rows=tuple(
            HistoryRow(
                BlockRef(int(number), block_hash, int(timestamp)),
                int(balance),
                None if change is None else int(change),
                tuple(transactions),
                finality,
                derived,
            )
            for number, block_hash, timestamp, balance, change, transactions, finality, derived in columns
        ),
        info=info,
        job=document["job"],
        reason=document["reason"],
        joint=None if joint is None else Joint(int(joint["n"]), int(joint["c"]), tuple(joint["x"])),
        void=document["void"],
        final=document["final"],
    )
