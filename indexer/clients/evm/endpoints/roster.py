"""The endpoints of one chain in order of preference, and who of them is to be asked next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from indexer.clients.evm.endpoints.attempts import Attempts
from indexer.clients.evm.endpoints.endpoint import Endpoint
from indexer.errors import BlockUnknown


class Roster:
    """`late` names those that still owe an answer; all others are asked before them."""

    def __init__(self, endpoints: Sequence[Endpoint], late: Callable[[], Collection[str]]) -> None:
        self._endpoints = tuple(endpoints)
        self._late = late

    @property
    def able(self) -> tuple[Endpoint, ...]:
        """Those that are well and not set aside."""
        return tuple(endpoint for endpoint in self._endpoints if endpoint.is_well and not endpoint.is_aside)

    def best(self, attempts: Attempts) -> Endpoint | None:
        """The first healthy one that has not denied; then those that are late or set aside, or answered nonsense."""
        said = {*attempts.denials, *attempts.unheard}
        able = [endpoint for endpoint in self._endpoints if endpoint.is_well and endpoint.name not in said]
        late, last = self._late(), attempts.rather_not
        return min(
            able,
            key=lambda each: (attempts.faults[each.name], each.is_aside, each.name in late, each.name == last),
            default=None,
        )

    def next(self, attempts: Attempts, asked: Collection[Endpoint]) -> Endpoint | None:
        """Who may be asked beside those; nobody whose answer would be worth less."""
        burdened = {
            *attempts.faults,
            *attempts.denials,
            *attempts.unheard,
            *self._late(),
            *(endpoint.name for endpoint in asked),
        }
        return next((endpoint for endpoint in self.able if endpoint.name not in burdened), None)

    def may_overtake(self, endpoint: Endpoint, attempts: Attempts) -> bool:
        """Whether it need not be waited for: another one may answer, once it is back at the latest, or the others have.

        Of those that are left only whoever said no already will not be asked.
        """
        others = {other.name for other in self._endpoints if other is not endpoint}
        return attempts.is_block_unknown or not others <= {*attempts.denials, *attempts.unheard}

    def lacking(self, attempts: Attempts) -> list[Endpoint]:
        """Those that do not have the block that was asked about."""
        return [other for other in self._endpoints if isinstance(attempts.denials.get(other.name), BlockUnknown)]

    def is_alone(self, endpoint: Endpoint) -> bool:
        """Whether nobody else can be asked."""
        late = self._late()
        return all(other is endpoint or other.name in late for other in self.able)
