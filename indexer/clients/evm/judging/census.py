"""Who is ahead: all endpoints that are well are asked for their newest block, and whoever stays behind is set aside.

An endpoint that stands still answers everything, so that nothing else gives it away. A higher head alone proves
nothing: its branch has to go on from the block that we heard of last, shown header by header. One of another branch
counts only while ours stands still, and once it is so far ahead that ours no longer disputes a reorg (opinions.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from indexer.clients.evm.asking.calls import joined
from indexer.clients.evm.endpoints.endpoint import Endpoint, Terms
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.clients.evm.judging.opinions import FAR_BEHIND, header_of, newest
from indexer.clients.evm.judging.rhythm import Expected
from indexer.domain.chain import Head
from indexer.domain.following.headchain import is_linked
from indexer.errors import BlockUnknown, IndexerError, StateMissing

_LONGEST_SECONDS: Final = 2.0
_OTHERS_SECONDS: Final = 0.25
"""When one has answered, the others have that much longer; then they are late."""
_NEWS_SECONDS: Final = 0.2
"""And that much once one knows a newer block, which is not to wait for those that hang."""
_PROOF_BLOCKS: Final = 32
"""So many headers are shown, at most, by who claims to be ahead."""
_BEHIND_SECONDS: Final = 1.0
"""Found behind at every survey for so long, it is no accident of one node behind a load balancer, nor merely slow."""
_ASIDE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The newest block; `is_split` while somebody is behind it and not set aside, so that it is worth asking again."""

    head: Head
    is_split: bool = False


async def highest(endpoints: Endpoints, known: Head | None, expected: Expected, *, is_still: bool) -> Finding:
    """The newest block of all who go on from `known`; who is far below it, or stands still below it, is set aside.

    `is_still`: nothing new was heard of for longer than is usual.
    """
    if len(endpoints.able) < 2:
        return Finding(await newest(endpoints))
    opinions = await _opinions(endpoints, known)
    if not opinions:
        return Finding(await newest(endpoints))
    best = await _best(endpoints, opinions, known)
    if is_still and known is not None and (best is None or best.number <= known.number):
        whose, top = max(opinions, key=lambda opinion: opinion[1].number)
        if known.number < top.number < known.number + expected.behind_blocks:
            return Finding(best or opinions[0][1], is_split=True)
        if top.number > known.number and await _shown(endpoints, whose, known.number, top):
            best = top
    if best is None:
        return Finding(opinions[0][1])
    for endpoint, head in opinions:
        _compare(endpoints, endpoint, head, best, expected)
    left = [(endpoint, head) for endpoint, head in opinions if not endpoint.is_aside]
    is_doubted = any(endpoint.behind_since is not None for endpoint, _ in left)
    return Finding(best, is_doubted or (is_still and bool(left) and left[0][1].number < best.number))


def _compare(endpoints: Endpoints, endpoint: Endpoint, head: Head, best: Head, expected: Expected) -> None:
    """Two looks, a second apart: what is on its way to it is no fault of its."""
    now, blocks = endpoints.clock(), best.number - head.number
    stood = now - endpoint.head_since if blocks > 0 else 0.0
    if blocks < expected.behind_blocks and stood < expected.late_seconds:
        endpoint.behind_since = None
    elif endpoint.behind_since is None:
        endpoint.behind_since = now
    elif now - endpoint.behind_since >= _BEHIND_SECONDS and (
        blocks >= expected.behind_blocks or stood >= expected.still_seconds
    ):
        endpoint.behind_since = None
        reason = f"its newest block is {head.number}, another endpoint has {best.number}"
        endpoints.set_aside(endpoint.name, BlockUnknown(reason), _ASIDE_SECONDS)


async def _opinions(endpoints: Endpoints, known: Head | None) -> list[tuple[Endpoint, Head]]:
    """In order of preference; without those that fail, that are late, or that sync from far below."""
    asked = header_of("eth_getBlockByNumber", "latest")
    terms = Terms(_LONGEST_SECONDS, endpoints.chain_id)
    running = {
        asyncio.ensure_future(each.ask(lambda _: asked, terms)): each
        for each in endpoints.able
        if each.name not in endpoints.late
    }
    answers: dict[str, tuple[Endpoint, Head]] = {}
    deadline: float | None = None
    loop = asyncio.get_running_loop()
    try:
        while running:
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                break
            done, _ = await asyncio.wait(running, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task in done]:  # in the order they were asked
                endpoint = running.pop(task)
                try:
                    head = task.result()
                except (BlockUnknown, StateMissing):
                    continue
                except IndexerError as error:
                    endpoints.health.judge(endpoint, error)
                    continue
                endpoint.told_head(head.number)
                if head.number < endpoints.health.followed - FAR_BEHIND:
                    reason = f"its newest block is {head.number}, we followed {endpoints.health.followed}"
                    endpoints.set_aside(endpoint.name, BlockUnknown(reason), 0.0)
                    continue
                answers[endpoint.name] = endpoint, head
                is_news = known is not None and head.number > known.number
                ends = loop.time() + (_NEWS_SECONDS if is_news else _OTHERS_SECONDS)
                deadline = ends if deadline is None else min(deadline, ends)
        endpoints.late.leave(running)
        running.clear()
    finally:
        for task in running:
            task.cancel()
    return [answers[each.name] for each in endpoints.able if each.name in answers]


async def _best(endpoints: Endpoints, opinions: Sequence[tuple[Endpoint, Head]], known: Head | None) -> Head | None:
    """The highest that goes on from `known`, is it, or lies right below it; nothing when all are of other branches."""
    ordered = sorted(opinions, key=lambda opinion: -opinion[1].number)
    for endpoint, head in ordered:
        if known is None or (head.number, head.hash) in ((known.number, known.hash), (known.number - 1, known.parent)):
            return head
        if head.number > known.number and await _goes_on(endpoints, endpoint, known, head):
            return head
    return None


async def _goes_on(endpoints: Endpoints, endpoint: Endpoint, known: Head, head: Head) -> bool:
    """Whether this endpoint can show the blocks between `known` and its own `head`, or the first of them."""
    if head.number == known.number + 1:
        return head.parent == known.hash
    shown = await _shown(endpoints, endpoint, known.number + 1, head)
    return bool(shown) and is_linked(known, shown[:1])


async def _shown(endpoints: Endpoints, endpoint: Endpoint, first: int, head: Head) -> tuple[Head, ...]:
    """Its blocks from `first` to `head`, or many of them; nothing where it does not have them as one chain."""
    last = min(head.number, first + _PROOF_BLOCKS - 1)
    asked = joined([header_of("eth_getBlockByNumber", hex(number)) for number in range(first, last + 1)])
    try:
        found = await endpoint.ask(lambda _: asked, Terms(_LONGEST_SECONDS, endpoints.chain_id))
    except (BlockUnknown, StateMissing):
        return ()
    except IndexerError as error:
        endpoints.health.judge(endpoint, error)
        return ()
    shown = tuple(found)
    is_whole = (
        shown[0].number == first and is_linked(None, shown) and (last < head.number or shown[-1].hash == head.hash)
    )
    return shown if is_whole else ()
