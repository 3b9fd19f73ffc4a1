"""Which blocks are safe and finalized, where a node may say that of one that is still to come."""

from __future__ import annotations

from indexer.clients.evm.asking.calls import joined
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.clients.evm.judging.opinions import tagged
from indexer.domain.chain import Head
from indexer.domain.following.finality import Tags


async def tags(endpoints: Endpoints, beside: Head | None) -> Tags:
    """As one endpoint tells them, and its block at the height of `beside`, in one request.

    The newest block is asked for last, so that none of the others is above it, whatever comes meanwhile. A tag that is
    nevertheless says nothing: another endpoint is asked, and where there is none, it is left out.
    """
    told = await _told(endpoints, beside, None)
    if told.untrue and len(endpoints.able) > 1:
        return await _told(endpoints, beside, endpoints.name)
    return told


async def _told(endpoints: Endpoints, beside: Head | None, rather_not: str | None) -> Tags:
    heights = () if beside is None else (hex(beside.number),)
    asked = joined([tagged(level) for level in ("safe", "finalized", *heights, "latest")])
    safe, finalized, *others, latest = await endpoints.ask(lambda _: asked, rather_not=rather_not)
    untrue = [] if latest is None else [tag for tag in (safe, finalized) if tag and tag.number > latest.number]
    safe, finalized = (None if tag in untrue else tag for tag in (safe, finalized))
    return Tags(safe, finalized, others[0] if others else None, untrue=bool(untrue))
