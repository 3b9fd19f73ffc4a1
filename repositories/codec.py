"""Commits as documents: compact, exact, and one table that knows every type of fact.

What all facts of a commit mostly share (chain, block, tokens) is written once; a fact names only what differs.
To add a type of fact: a pair of functions, and a line in `_TYPES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from bson import Int64

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, BlockRef, Head, Holding, TokenInfo
from indexer.domain.commits import Commit
from indexer.domain.facts import (
    BalanceReverted,
    ChainFinalized,
    Checkpoint,
    Confirmed,
    Fact,
    HistoryFilled,
    HistoryRow,
    Joint,
    Orphaned,
    StreamLive,
    StreamResync,
    StreamStale,
)
from indexer.domain.finality import Settled
from repositories.logs import packed, packed_here, unpacked, unpacked_here

Document = dict[str, Any]


def commit_document(commit: Commit) -> Document:
    """The commit as the one document that is inserted."""
    shared = _shared_by(commit)
    facts = [_TYPES[type(fact)].encode(fact, shared) for fact in commit.facts]
    document: Document = {
        "_id": commit.id,
        "stream": commit.stream,
        "firstSeq": Int64(commit.first_seq),
        "lastSeq": Int64(commit.last_seq),
        "time": commit.time,
        "checkpoint": None if commit.checkpoint is None else _checkpoint_document(commit.checkpoint),
        "chainId": Int64(shared.chain_id),
        "block": None if shared.block is None else block_document(shared.block),
        "tokens": [{"address": token, **info_document(info)} for token, info in shared.tokens],
        "facts": facts,
    }
    if commit.noted:
        document["noted"] = packed(commit.noted)
    return document


def commit_of(document: Document) -> Commit:
    block = document["block"]
    shared = _Shared(
        chain_id=int(document["chainId"]),
        block=None if block is None else block_of(block),
        tokens={(token["address"], info_of(token)): index for index, token in enumerate(document["tokens"])},
    )
    table = list(shared.tokens)
    checkpoint = document["checkpoint"]
    return Commit(
        id=document["_id"],
        stream=document["stream"],
        first_seq=int(document["firstSeq"]),
        time=document["time"],
        facts=tuple(_DECODERS[fact["k"]](fact, shared, table) for fact in document["facts"]),
        checkpoint=None if checkpoint is None else _checkpoint_of(checkpoint),
        noted=unpacked(document.get("noted", ())),
    )


def _checkpoint_document(checkpoint: Checkpoint) -> Document:
    document = head_document(checkpoint.head)
    if checkpoint.settled is not None:
        document["safe"], document["finalized"] = Int64(checkpoint.settled.safe), Int64(checkpoint.settled.finalized)
    return document


def _checkpoint_of(document: Document) -> Checkpoint:
    settled = Settled(int(document["safe"]), int(document["finalized"])) if "safe" in document else None
    return Checkpoint(head_of(document), settled)


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


# --- what facts share ------------------------------------------------------------------------------------------------

_TokenTable = list[tuple[str, TokenInfo]]


@dataclass(slots=True)
class _Shared:
    """What is written once for all facts of a commit; `tokens` grows while facts are encoded."""

    chain_id: int
    block: BlockRef | None
    tokens: dict[tuple[str, TokenInfo], int] = field(default_factory=dict)

    def token(self, token: str, info: TokenInfo) -> int:
        return self.tokens.setdefault((token, info), len(self.tokens))

    def differing(self, document: Document, chain_id: int, block: BlockRef | None = None) -> Document:
        """`document`, with chain and block where they are not the shared ones."""
        if chain_id != self.chain_id:
            document["chain"] = Int64(chain_id)
        # Identity first: 5,000 facts of one block hold the same object.
        if block is not None and block is not self.block and block != self.block:
            document["block"] = block_document(block)
        return document

    def chain_of(self, document: Document) -> int:
        return int(document["chain"]) if "chain" in document else self.chain_id

    def block_of(self, document: Document) -> BlockRef:
        if "block" in document:
            return block_of(document["block"])
        if self.block is None:
            raise ValueError("a commit without a block holds a fact that needs one")
        return self.block


def _shared_by(commit: Commit) -> _Shared:
    in_block = BalanceUpdated | BalanceReverted | ChainFinalized | StreamResync
    blocks = (fact.block for fact in commit.facts if isinstance(fact, in_block))
    return _Shared(chain_id=commit.facts[0].chain_id, block=next(blocks, None))


# --- one pair of functions per type of fact --------------------------------------------------------------------------


def _encode_updated(fact: BalanceUpdated, shared: _Shared) -> Document:
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
        document["l"] = packed_here(fact)
    if fact.unexplained != (None if token == NATIVE or fact.previous is None else 0):
        document["u"] = None if fact.unexplained is None else str(fact.unexplained)
    return shared.differing(document, fact.chain_id, fact.block)


def _decode_updated(document: Document, shared: _Shared, tokens: _TokenTable) -> BalanceUpdated:
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
    )


def _encode_reverted(fact: BalanceReverted, shared: _Shared) -> Document:
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
    return shared.differing(document, fact.chain_id, fact.block)


def _decode_reverted(document: Document, shared: _Shared, tokens: _TokenTable) -> BalanceReverted:
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
    )


def _encode_finalized(fact: ChainFinalized, shared: _Shared) -> Document:
    return shared.differing({"k": "finalized", "level": fact.level}, fact.chain_id, fact.block)


def _decode_finalized(document: Document, shared: _Shared, _: _TokenTable) -> ChainFinalized:
    return ChainFinalized(shared.chain_of(document), shared.block_of(document), document["level"])


def _encode_state(fact: StreamStale | StreamLive, shared: _Shared) -> Document:
    at = None if fact.block is None else Int64(fact.block)
    return shared.differing({"k": _TYPES[type(fact)].tag, "reason": fact.reason, "at": at}, fact.chain_id)


def _decode_stale(document: Document, shared: _Shared, _: _TokenTable) -> StreamStale:
    return StreamStale(shared.chain_of(document), document["reason"], _at(document))


def _decode_live(document: Document, shared: _Shared, _: _TokenTable) -> StreamLive:
    return StreamLive(shared.chain_of(document), document["reason"], _at(document))


def _encode_resync(fact: StreamResync, shared: _Shared) -> Document:
    document: Document = {
        "k": "resync",
        "reason": fact.reason,
        "above": None if fact.above is None else Int64(fact.above),
        "kept": [
            {"t": shared.token(row.holding.token, row.info), "s": row.holding.solver, "b": str(row.balance)}
            for row in fact.confirmed
        ],
    }
    return shared.differing(document, fact.chain_id, fact.block)


def _decode_resync(document: Document, shared: _Shared, tokens: _TokenTable) -> StreamResync:
    return StreamResync(
        chain_id=shared.chain_of(document),
        reason=document["reason"],
        block=shared.block_of(document),
        above=None if document["above"] is None else int(document["above"]),
        confirmed=tuple(
            Confirmed(Holding(tokens[row["t"]][0], row["s"]), int(row["b"]), tokens[row["t"]][1])
            for row in document["kept"]
        ),
    )


def _encode_filled(fact: HistoryFilled, shared: _Shared) -> Document:
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


def _decode_filled(document: Document, shared: _Shared, tokens: _TokenTable) -> HistoryFilled:
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


def _at(document: Document) -> int | None:
    return None if document["at"] is None else int(document["at"])


class _Codec(NamedTuple):
    tag: str
    encode: Callable[[Any, _Shared], Document]
    decode: Callable[[Document, _Shared, _TokenTable], Fact]


_TYPES: Final[dict[type[Fact], _Codec]] = {
    BalanceUpdated: _Codec("updated", _encode_updated, _decode_updated),
    BalanceReverted: _Codec("reverted", _encode_reverted, _decode_reverted),
    ChainFinalized: _Codec("finalized", _encode_finalized, _decode_finalized),
    StreamStale: _Codec("stale", _encode_state, _decode_stale),
    StreamLive: _Codec("live", _encode_state, _decode_live),
    StreamResync: _Codec("resync", _encode_resync, _decode_resync),
    HistoryFilled: _Codec("filled", _encode_filled, _decode_filled),
}

_DECODERS: Final = {codec.tag: codec.decode for codec in _TYPES.values()}
