"""Which chain endpoints follow, as they say themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from indexer.clients.evm.asking.answers import head_of, quantity
from indexer.clients.evm.asking.calls import Call, Plan, Reply
from indexer.clients.evm.endpoints.endpoint import another_genesis
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.domain.chain import ChainIdentity

_REST_SECONDS: Final = 2.0
"""A node that is down at the start is told soon, and nobody who stops us then waits for it."""
_SURVEY_SECONDS: Final = 2.0
_CALLS: Final = (Call("eth_chainId"), Call("eth_getBlockByNumber", ["0x0", False]))


async def identity(endpoints: Endpoints) -> ChainIdentity:
    """As the first says that follows our chain, as far as that is known; from then on it has to have this id."""

    def read(replies: Sequence[Reply]) -> ChainIdentity:
        found, ours = _identity(replies), endpoints.genesis
        if ours is not None and found.genesis != ours:
            raise another_genesis(found.genesis, ours)
        return found

    found = await endpoints.ask(lambda _: Plan(_CALLS, read), rest_seconds=_REST_SECONDS)
    if endpoints.chain_id is None:
        endpoints.chain_id = found.chain_id
    return found


async def identities(endpoints: Endpoints) -> dict[str, ChainIdentity]:
    """The same of every endpoint that answers soon, in order of preference; at least one."""
    first = await identity(endpoints)
    if len(endpoints) == 1:
        return {endpoints.name: first}
    found = await endpoints.survey(lambda _: Plan(_CALLS, _identity), _SURVEY_SECONDS)
    for endpoint, one in found:
        endpoint.begins = one.genesis
    return {endpoint.name: one for endpoint, one in found} or {endpoints.name: first}


def _identity(replies: Sequence[Reply]) -> ChainIdentity:
    return ChainIdentity(quantity(replies[0].get()), head_of(replies[1].get()).hash)
