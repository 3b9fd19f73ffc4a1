"""Which block is the newest, and which is canonical, where several endpoints may say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from indexer.clients.evm.asking.answers import head_of
from indexer.clients.evm.asking.calls import Call, Plan, Reply, joined
from indexer.clients.evm.asking.wording import Unsupported
from indexer.clients.evm.endpoints.attempts import Behind
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.domain.chain import BlockRef, Head
from indexer.domain.following.headchain import is_linked
from indexer.errors import BadAnswer, BlockUnknown

_NEWEST_SECONDS: Final = 2.0
_NEWEST_PATIENCE_SECONDS: Final = 6.0
"""Enough for a second and a third endpoint after one that hangs."""
_NEWEST_REST_SECONDS: Final = 1.0
"""Long enough that one lost connection is no outage."""
FAR_BEHIND: Final = 16
"""An endpoint whose newest block is that much below what we followed syncs, or lags: no reorg makes a chain shorter."""
_LITTLE_BEHIND: Final = 2
_OPINION_SECONDS: Final = 1.0
_SPREAD_SECONDS: Final = 2.0
"""A real reorg reaches the other endpoints within that time; until then nobody is called a liar."""
_DOUBT_SECONDS: Final = 10.0


async def newest(endpoints: Endpoints) -> Head:
    """One far below what we followed is believed only when every endpoint says so: then it is the highest."""
    health = endpoints.health
    behind: list[Head] = []

    def read(replies: Sequence[Reply]) -> Head:
        head = head_of(replies[0].get())
        if head.number < health.followed - FAR_BEHIND:
            behind.append(head)
            raise Behind(f"its newest block is {head.number}, we followed {health.followed}")
        return head

    question = Plan((Call("eth_getBlockByNumber", ["latest", False]),), read)
    try:
        head = await endpoints.ask(
            lambda _: question,
            timeout_seconds=_NEWEST_SECONDS,
            patience_seconds=_NEWEST_PATIENCE_SECONDS,
            rest_seconds=_NEWEST_REST_SECONDS,
        )
    except Behind:
        head = max(behind, key=lambda head: head.number)
        health.followed = head.number
    else:
        endpoints.last.told_head(head.number)
    return head


async def canonical(
    endpoints: Endpoints, first: int, last: int, hedge_seconds: float | None, beside: BlockRef | None = None
) -> tuple[Head, ...]:
    """The headers `first` to `last`, both included, as one endpoint sees them: each on top of another.

    With `beside`, one that has this block as well: others are on a fork, or stand still far below.
    """
    headers = linked_headers(first, last)
    if beside is None:
        return await endpoints.ask(lambda _: headers, hedge_seconds=hedge_seconds)
    other = header_of("eth_getBlockByNumber", hex(beside.number))

    def read(replies: Sequence[Reply]) -> tuple[Head, ...]:
        require(beside, other.read(replies[-1:]))
        return headers.read(replies[:-1])

    return await endpoints.ask(lambda _: Plan([*headers.calls, *other.calls], read), hedge_seconds=hedge_seconds)


def linked_headers(first: int, last: int) -> Plan[tuple[Head, ...]]:
    """The headers of these numbers, if each sits on the one below it."""
    plans = joined([header_of("eth_getBlockByNumber", hex(number)) for number in range(first, last + 1)])

    def read(replies: Sequence[Reply]) -> tuple[Head, ...]:
        heads = tuple(plans.read(replies))
        if any(head.number != first + index for index, head in enumerate(heads)):
            raise BadAnswer("another block than the one asked for")
        if not is_linked(None, heads):
            # Two nodes behind one address answered, or a reorg came between: either way, ask again.
            raise BadAnswer(f"headers {first} to {last} are not one chain")
        return heads

    return Plan(plans.calls, read)


def require(beside: BlockRef, head: Head) -> None:
    """Whoever has another block there speaks of another branch."""
    if head.hash != beside.hash:
        raise BadAnswer(f"has another block {beside.number} than {beside.hash}")


async def is_disputed(endpoints: Endpoints, tip: Head) -> bool:
    """Whether endpoints disagree about a block of ours that one of them has just denied.

    True while one that is not behind still has it, so that nothing is rolled back for one node's mistake. After a
    real reorg the others follow within moments; where they do not, those that deny the block are set aside. Where there
    is only one endpoint nobody can disagree with it.
    """
    if len(endpoints) < 2:
        return False
    asked = joined([tagged(hex(tip.number)), tagged("latest")])
    opinions = [
        (endpoint, found, last)
        for endpoint, (found, last) in await endpoints.survey(lambda _: asked, _OPINION_SECONDS, is_urgent=True)
        if last is not None
    ]
    highest = max((last.number for _, _, last in opinions), default=0)
    ours = [
        endpoint.name
        for endpoint, found, last in opinions
        if found is not None and found.hash == tip.hash and last.number >= highest - _LITTLE_BEHIND
    ]
    others = [endpoint for endpoint, found, _ in opinions if found is None or found.hash != tip.hash]
    if not ours or not others:
        return False
    for endpoint in others if endpoints.health.disputed_for(tip.hash) > _SPREAD_SECONDS else ():
        reason = BadAnswer(f"has another block {tip.number} than {', '.join(ours)}")
        endpoints.health.set_aside(endpoint, reason, _DOUBT_SECONDS)
    return True


def header_of(method: str, block: str) -> Plan[Head]:
    """The header that this method finds; `BlockUnknown` where there is none."""

    def read(replies: Sequence[Reply]) -> Head:
        return head_of(replies[0].get())

    return Plan([Call(method, [block, False])], read)


def tagged(level: str) -> Plan[Head | None]:
    """The header at a tag or number; nothing where the node has no such tag, or no such block."""

    def read(replies: Sequence[Reply]) -> Head | None:
        try:
            found: Any = replies[0].get()
        except (Unsupported, BlockUnknown):
            return None
        return None if found is None else head_of(found)

    return Plan([Call("eth_getBlockByNumber", [level, False])], read)
