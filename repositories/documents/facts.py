"""What is told live, as documents: one pair of functions per type of fact."""

from __future__ import annotations

from typing import Any

from bson import Int64

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, BlockHash, Holding
from indexer.domain.telling.facts import (
    BalanceReverted,
    ChainFinalized,
    Confirmed,
    Orphaned,
    Passed,
    StreamLive,
    StreamResync,
    StreamStale,
)
from repositories.documents.blocks import block_document, block_of, holdings_document, holdings_of
from repositories.documents.logs import packed_here, unpacked_here
from repositories.documents.shared import Shared, TokenTable

Document = dict[str, Any]


def encode_updated(fact: BalanceUpdated, shared: Shared) -> Document:
    token, solver = fact.holding
    document: Document = {
        "k": "updated",
        "t": shared.token(token, fact.info),
        "s": solver,
        "b": str(fact.balance),
        "c": fact.cause,
    }
    if fact.previous is not None:
        document["p"] = str(fact.previous)
    if fact.transactions:
        document["x"] = list(fact.transactions)
    if fact.transfers:
        document["l"] = packed_here(fact.transfers, fact.holding, fact.block, fact.transactions)
    if fact.unexplained != (None if token == NATIVE or fact.previous is None else 0):
        document["u"] = None if fact.unexplained is None else str(fact.unexplained)
    if fact.apart:
        document["a"] = True
    if fact.known_to is not None:
        document["n"] = Int64(fact.known_to)
    return shared.differing(document, fact.chain_id, fact.block)


def decode_updated(document: Document, shared: Shared, tokens: TokenTable) -> BalanceUpdated:
    token, info = tokens[document["t"]]
    previous = document.get("p")
    holding, block = Holding(token, document["s"]), shared.block_of(document)
    transactions = tuple(document.get("x", ()))
    unexplained = document.get("u", None if token == NATIVE or previous is None else 0)
    return BalanceUpdated(
        chain_id=shared.chain_of(document),
        holding=holding,
        previous=None if previous is None else int(previous),
        balance=int(document["b"]),
        block=block,
        cause=document["c"],
        info=info,
        transactions=transactions,
        transfers=unpacked_here(document["l"], holding, block, transactions) if "l" in document else (),
        unexplained=None if unexplained is None else int(unexplained),
        apart=document.get("a", False),
        known_to=None if "n" not in document else int(document["n"]),
    )


def encode_reverted(fact: BalanceReverted, shared: Shared) -> Document:
    token, solver = fact.holding
    document: Document = {
        "k": "reverted",
        "t": shared.token(token, fact.info),
        "s": solver,
        "p": str(fact.previous),
        "b": str(fact.balance),
        "o": [{"n": Int64(row.number), "h": row.hash, "b": str(row.balance)} for row in fact.orphaned],
    }
    if fact.anchor:
        document["a"] = True
    if fact.left:
        document["l"] = [{"n": Int64(number), "h": block} for number, block in fact.left]
    return shared.differing(document, fact.chain_id, fact.block)


def decode_reverted(document: Document, shared: Shared, tokens: TokenTable) -> BalanceReverted:
    token, info = tokens[document["t"]]
    return BalanceReverted(
        chain_id=shared.chain_of(document),
        holding=Holding(token, document["s"]),
        previous=int(document["p"]),
        balance=int(document["b"]),
        block=shared.block_of(document),
        info=info,
        orphaned=tuple(Orphaned(int(row["n"]), row["h"], int(row["b"])) for row in document["o"]),
        anchor=document.get("a", False),
        left=tuple((int(block["n"]), BlockHash(block["h"])) for block in document.get("l", ())),
    )


def encode_finalized(fact: ChainFinalized, shared: Shared) -> Document:
    return shared.differing({"k": "finalized", "level": fact.level}, fact.chain_id, fact.block)


def decode_finalized(document: Document, shared: Shared, _: TokenTable) -> ChainFinalized:
    return ChainFinalized(shared.chain_of(document), shared.block_of(document), document["level"])


def encode_stale(fact: StreamStale, shared: Shared) -> Document:
    return _state("stale", fact, shared)


def encode_live(fact: StreamLive, shared: Shared) -> Document:
    return _state("live", fact, shared)


def decode_stale(document: Document, shared: Shared, _: TokenTable) -> StreamStale:
    return StreamStale(shared.chain_of(document), document["reason"], _at(document))


def decode_live(document: Document, shared: Shared, _: TokenTable) -> StreamLive:
    return StreamLive(shared.chain_of(document), document["reason"], _at(document))


def encode_resync(fact: StreamResync, shared: Shared) -> Document:
    document: Document = {
        "k": "resync",
        "reason": fact.reason,
        "above": None if fact.above is None else Int64(fact.above),
        "kept": [
            {"t": shared.token(row.holding.token, row.info), "s": row.holding.solver, "b": str(row.balance)}
            for row in fact.confirmed
        ],
    }
    if fact.more:
        document["more"] = True
    if fact.passed is not None:
        document["passed"] = {
            "after": block_document(fact.passed.after),
            "held": holdings_document(fact.passed.followed),
            "trailing": holdings_document(fact.passed.trailing),
        }
    return shared.differing(document, fact.chain_id, fact.block)


def decode_resync(document: Document, shared: Shared, tokens: TokenTable) -> StreamResync:
    return StreamResync(
        chain_id=shared.chain_of(document),
        reason=document["reason"],
        block=shared.block_of(document),
        above=None if document["above"] is None else int(document["above"]),
        confirmed=tuple(
            Confirmed(Holding(tokens[row["t"]][0], row["s"]), int(row["b"]), tokens[row["t"]][1])
            for row in document["kept"]
        ),
        passed=_passed(document.get("passed")),  # stores of before have none
        more=document.get("more", False),
    )


def _passed(document: Document | None) -> Passed | None:
    if document is None:
        return None
    return Passed(block_of(document["after"]), holdings_of(document["held"]), holdings_of(document["trailing"]))


def _state(kind: str, fact: StreamStale | StreamLive, shared: Shared) -> Document:
    at = None if fact.block is None else Int64(fact.block)
    return shared.differing({"k": kind, "reason": fact.reason, "at": at}, fact.chain_id)


def _at(document: Document) -> int | None:
    return None if document["at"] is None else int(document["at"])
