"""History that was before us, as documents: column by column, since it comes in thousands of records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from bson import Int64

from indexer.domain.chain import NATIVE, BlockRef, Holding
from indexer.domain.telling.facts import HistoryFilled, HistoryRow, Joint
from repositories.documents.logs import packed, packed_here, unpacked, unpacked_here
from repositories.documents.shared import Shared, TokenTable

Document = dict[str, Any]


_COLUMNS: Final = ("n", "h", "ts", "b", "c", "x", "f", "d")


def encode_filled(fact: HistoryFilled, shared: Shared) -> Document:
    """No key is written twice, and of what is left unexplained only what is not the usual."""
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
        "c": [_text(row.change) for row in rows],
        "x": [list(row.transactions) for row in rows],
        "f": [row.finality for row in rows],
        "d": [row.derived for row in rows],
        "l": [packed_here(row.transfers, fact.holding, row.block, row.transactions) for row in rows],
        "u": [
            [place, _text(row.unexplained)]
            for place, row in enumerate(rows)
            if row.unexplained != _usual(token, row.change)
        ],
    }
    if fact.joint is not None:
        document["joint"] = _encode_joint(fact.joint)
    return shared.differing(document, fact.chain_id)


def decode_filled(document: Document, shared: Shared, tokens: TokenTable) -> HistoryFilled:
    token, info = tokens[document["t"]]
    holding, joint = Holding(token, document["s"]), document.get("joint")
    return HistoryFilled(
        chain_id=shared.chain_of(document),
        holding=holding,
        first=int(document["from"]),
        last=int(document["to"]),
        rows=tuple(_rows(document, holding)),
        info=info,
        job=document["job"],
        reason=document["reason"],
        joint=None if joint is None else _decode_joint(joint),
        void=document["void"],
        final=document["final"],
    )


def _rows(document: Document, holding: Holding) -> Iterator[HistoryRow]:
    # Stores of before have no logs here: then nothing is known of them.
    logs = document.get("l")
    unusual = {int(place): _whole(text) for place, text in document.get("u", ())}
    columns = zip(*(document[name] for name in _COLUMNS), strict=True)
    for place, (number, name, timestamp, balance, change, hashes, finality, derived) in enumerate(columns):
        block, step, transactions = BlockRef(int(number), name, int(timestamp)), _whole(change), tuple(hashes)
        usual = None if logs is None else _usual(holding.token, step)
        yield HistoryRow(
            block,
            int(balance),
            step,
            transactions,
            finality,
            derived,
            () if logs is None else unpacked_here(logs[place], holding, block, transactions),
            unusual.get(place, usual),
        )


def _encode_joint(joint: Joint) -> Document:
    return {
        "n": Int64(joint.number),
        "c": str(joint.change),
        "x": list(joint.transactions),
        "l": packed(joint.transfers),
        "u": _text(joint.unexplained),
        "h": joint.block_hash,
    }


def _decode_joint(document: Document) -> Joint:
    return Joint(
        int(document["n"]),
        int(document["c"]),
        tuple(document["x"]),
        unpacked(document.get("l", ())),
        _whole(document.get("u")),
        document.get("h"),
    )


def _usual(token: str, change: int | None) -> int | None:
    return None if token == NATIVE or change is None else 0


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _whole(value: str | None) -> int | None:
    return None if value is None else int(value)
