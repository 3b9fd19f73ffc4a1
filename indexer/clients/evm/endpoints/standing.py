"""What is said of endpoints that are not well: each of them, and all together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from indexer.clients.evm.endpoints.endpoint import Endpoint
from indexer.domain.health.status import EndpointTrouble
from indexer.errors import NodeUnreachable, Throttled, WrongChain

HOPE_SECONDS: Final = 600.0
"""Who is lost for longer may never be back, and is no reason to wait."""
_FIRST_HOPE_SECONDS: Final = 120.0
"""Who never answered in this life may not be there at all."""


def troubles(endpoints: Sequence[Endpoint]) -> tuple[EndpointTrouble, ...]:
    """Those that are lost or set aside, in order of preference, and why."""
    return tuple(
        EndpointTrouble(endpoint.name, "aside" if endpoint.is_well else "lost", str(endpoint.reason))
        for endpoint in endpoints
        if not endpoint.is_well or endpoint.is_aside
    )


def asked_to_wait(endpoints: Sequence[Endpoint]) -> bool:
    """Whether each of them answered that it may not be asked for some time."""
    reasons = [None if endpoint.is_well else endpoint.reason for endpoint in endpoints]
    return all(isinstance(reason, Throttled) and reason.retry_after_seconds is not None for reason in reasons)


def hoped_for(endpoints: Sequence[Endpoint], now: float) -> tuple[Endpoint, ...]:
    """Those of our chain that are lost, but not for long."""
    return tuple(
        each
        for each in endpoints
        if not each.is_well
        and not isinstance(each.reason, WrongChain)
        and now - each.ill_since < (HOPE_SECONDS if each.has_answered else _FIRST_HOPE_SECONDS)
    )


def nobody(endpoints: Sequence[Endpoint]) -> NodeUnreachable | Throttled | WrongChain:
    """Why none of them can be asked, in one error that means what all of theirs mean."""
    reasons = [endpoint.reason for endpoint in endpoints]
    text = "; ".join(f"{endpoint.name}: {endpoint.reason}" for endpoint in endpoints)
    if all(isinstance(reason, WrongChain) for reason in reasons):
        return WrongChain(text)
    if all(isinstance(reason, Throttled) for reason in reasons):
        return Throttled(text)
    return NodeUnreachable(text)
