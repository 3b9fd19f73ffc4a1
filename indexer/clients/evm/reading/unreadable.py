"""Balances that an endpoint does not tell: asked once more alone, then elsewhere, before they are called unreadable."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from indexer.clients.evm.asking.calls import joined
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.clients.evm.reading.readings import TOO_MUCH_GAS, Found, singly
from indexer.domain.chain import Holding, KnownBlock
from indexer.domain.following.views import Readings
from indexer.errors import BadAnswer

_AGREED_SECONDS: Final = 60.0
"""What two endpoints do not tell, each of them is believed about for so long: a paused token costs no more requests."""
_DOUBT_SECONDS: Final = 10.0

Unread = Mapping[KnownBlock, Collection[Holding]]


class Unreadable:
    """Who answers nothing for a token may be at fault itself, so that another endpoint is asked where one is well."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._agreed: dict[Holding, float] = {}
        """Until when it is enough that one says so; of what is watched, so there are no more than that."""

    async def settled(self, found: Mapping[KnownBlock, Found], teller: str) -> dict[KnownBlock, Readings]:
        """What `teller` found; one more round trip when something failed, two when that is news and others are well."""
        doubtful = {block: part.doubtful for block, part in found.items() if part.doubtful}
        if doubtful:
            await self._ask_singly(found, doubtful)
            teller = self._endpoints.name
        if unread := self._news(found):
            await self._ask_elsewhere(found, unread, teller)
        return {block: Readings(part.values, part.unreadable) for block, part in found.items()}

    def _news(self, found: Mapping[KnownBlock, Found]) -> Unread:
        now = self._endpoints.clock()
        unread = {
            block: [holding for holding in part.unreadable if self._agreed.get(holding, now) <= now]
            for block, part in found.items()
            if part.unreadable
        }
        return {block: holdings for block, holdings in unread.items() if holdings}

    async def _ask_elsewhere(self, found: Mapping[KnownBlock, Found], unread: Unread, teller: str) -> None:
        if not any(endpoint.name != teller for endpoint in self._endpoints.able):
            return
        reasons = [found[block].unreadable[holding] for block, holdings in unread.items() for holding in holdings]
        told = await self._ask_singly(found, unread, rather_not=teller)
        if self._endpoints.name == teller:
            return
        # How much gas a call may use is up to each provider.
        if told and not all(reason.startswith(TOO_MUCH_GAS) for reason in reasons):
            self._endpoints.set_aside(teller, BadAnswer("tells nothing of a token that others tell"), _DOUBT_SECONDS)
        now = self._endpoints.clock()
        self._agreed = {holding: until for holding, until in self._agreed.items() if until > now}
        for block, holdings in unread.items():
            self._agreed |= {key: now + _AGREED_SECONDS for key in holdings if key in found[block].unreadable}

    async def _ask_singly(
        self, found: Mapping[KnownBlock, Found], wanted: Unread, *, rather_not: str | None = None
    ) -> int:
        """Each alone; how many of them are told now."""
        again = await self._endpoints.ask(
            lambda _: joined([singly(block, list(holdings)) for block, holdings in wanted.items()]),
            rather_not=rather_not,
        )
        for block, single in zip(wanted, again, strict=True):
            part = found[block]
            for holding in single.values:
                part.unreadable.pop(holding, None)
            part.values.update(single.values)
            part.unreadable.update(single.unreadable)
        return sum(len(single.values) for single in again)
