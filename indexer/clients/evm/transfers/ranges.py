"""Transfer logs of a range of blocks, for history: one filter at a time, so that one refusal tells one size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from indexer.clients.evm.asking.answers import block_hash, block_seconds, head_of, quantity, shown
from indexer.clients.evm.asking.calls import Call, Limits, Plan, Reply, joined
from indexer.clients.evm.endpoints.endpoints import NEVER, Endpoints
from indexer.clients.evm.judging.opinions import header_of, require
from indexer.clients.evm.reading.readings import Found
from indexer.clients.evm.transfers.leftout import Asked, Block, completed
from indexer.clients.evm.transfers.logs import Filters, transfer_of, transfers_at
from indexer.domain.chain import BlockHash, BlockRef, Head
from indexer.domain.history.backfill import Moved
from indexer.errors import BadAnswer

PIECE: Final = 200
"""Logs read before the loop has its turn: about three milliseconds."""


def logs_between(
    first: int, last: int, inside: bytes, beside: BlockRef | None, _limits: Limits
) -> Plan[tuple[list[Any], BlockHash]]:
    """What one filter finds in these blocks, and the hash of the last one; from who has the block `beside` as well.

    A node that lags leaves out what it has not, and calls that a success: so the same request asks for the last block,
    which only the node that answered for the logs can speak of. Where requests take one call, see `moved_in`.
    """

    def read(replies: Sequence[Reply]) -> tuple[list[Any], BlockHash]:
        result = replies[0].get()
        if not isinstance(result, list):
            raise BadAnswer(f"no list of logs: {shown(result)}")
        end = head_of(replies[1].get())
        if end.number != last:
            raise BadAnswer("another block than the one asked for")
        if beside is not None:
            require(beside, head_of(replies[2].get()))
        return result, end.hash

    place = f'{{"fromBlock":"{hex(first)}","toBlock":"{hex(last)}",'.encode()
    logs = Call("eth_getLogs", [orjson.Fragment(place + inside + b"}")], 150 + len(inside), first < last)
    numbers = [last] if beside is None else [last, beside.number]
    headers = [Call("eth_getBlockByNumber", [hex(number), False]) for number in numbers]
    return Plan([logs, *headers], read, together=True)


def headers_of(numbers: Sequence[int], beside: BlockRef | None) -> Plan[dict[int, Head]]:
    """By number, as an endpoint tells them that has the block `beside` as well."""
    wanted = numbers if beside is None else [*numbers, beside.number]
    plans = joined([header_of("eth_getBlockByNumber", hex(number)) for number in wanted])

    def read(replies: Sequence[Reply]) -> dict[int, Head]:
        heads = plans.read(replies)
        if [head.number for head in heads] != [*wanted]:
            raise BadAnswer("another block than the one asked for")
        if beside is not None:
            require(beside, heads[-1])
        return {head.number: head for head in heads}

    return Plan(plans.calls, read)


async def moved_in(endpoints: Endpoints, heads: Sequence[Head], asked: Asked) -> tuple[Moved, ...]:
    """The watched transfers of these blocks, each asked by its hash, but for those whose bloom rules us out.

    For endpoints that take one call at a time: behind their address one node may leave out what another knows.
    """
    maybe = [head for head in heads if head.bloom is None or asked.sought.may_name(head.bloom)]
    found = await endpoints.ask(
        lambda limits: joined([transfers_at(head.ref, asked.filters, limits, beside_reads=False) for head in maybe]),
        hedge_seconds=NEVER,
    )
    blocks = [Block(head, transfers, Found()) for head, transfers in zip(maybe, found, strict=True)]
    whole = await completed(endpoints, blocks, asked, hedge_seconds=NEVER)
    return tuple(Moved(block.head.ref, transfer) for block in whole for transfer in block.transfers)


def pieces(logs: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (logs[start : start + PIECE] for start in range(0, len(logs), PIECE))


def numbers_without_time(logs: Sequence[Any]) -> set[int]:
    """Blocks whose time the logs themselves do not tell: not every node does."""
    return {
        quantity(log.get("blockNumber")) for log in logs if isinstance(log, dict) and log.get("blockTimestamp") is None
    }


def moved(
    logs: Sequence[Any],
    first: int,
    last: int,
    filters: Filters,
    headers: Mapping[int, Head],
    blocks: dict[str, BlockRef],
) -> list[Moved]:
    """What these logs say; `blocks` remembers those that were met."""
    found: list[Moved] = []
    for log in logs:
        if not isinstance(log, dict):
            raise BadAnswer(f"not a log: {shown(log)}")
        name = str(log.get("blockHash"))
        block = blocks.get(name)
        if block is None:
            block = blocks[name] = _block(log, headers)
            if not first <= block.number <= last:
                raise BadAnswer(f"a log of block {block.number}, asked for {first} to {last}")
        transfer = transfer_of(log, block, filters)
        if transfer is not None:
            found.append(Moved(block, transfer))
    return found


def _block(log: Mapping[str, Any], headers: Mapping[int, Head]) -> BlockRef:
    number, name = quantity(log.get("blockNumber")), block_hash(log.get("blockHash"))
    if log.get("blockTimestamp") is not None:
        return BlockRef(number, name, block_seconds(log["blockTimestamp"], number))
    header = headers.get(number)
    if header is None or header.hash != name:
        raise BadAnswer(f"the header of block {number} is of another branch than its logs")
    return header.ref
