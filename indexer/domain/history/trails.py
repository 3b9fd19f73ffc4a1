"""The Transfer logs that no record accounts for yet: carried until the next record of their holding."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from indexer.domain.balances import BalanceUpdated, moved, told
from indexer.domain.chain import NATIVE, BlockHash, Holding, Transfer
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, Fact, StreamResync

MOST_LOGS: Final = 256
MOST_LOGS_IN_ALL: Final = 10_000
"""A token that emits logs without moving anything must not fill memory: past this, a trail counts as lost."""

Above = Callable[[int], Iterable[BalanceUpdated]]
"""The updates at blocks above a number."""

_NONE: Final[frozenset[Holding]] = frozenset()


@dataclass(slots=True)
class Trails:
    """By holding, oldest first; nothing in place of the logs where some of them are not known."""

    logs: dict[Holding, tuple[Transfer, ...] | None] = field(default_factory=dict)
    lost: set[Holding] = field(default_factory=set)
    """Those that had too many logs to carry them, since the last commit told so."""
    _recorded: dict[Holding, BlockHash] = field(default_factory=dict)
    """A block that is looked at twice must not be noted for those that it has a record of."""

    def note(
        self, transfers: Sequence[Transfer], known: Container[Holding], without: Collection[Holding] = _NONE
    ) -> tuple[Transfer, ...]:
        """Carry the logs of `known` holdings, but not `without` those that get a record here; the logs that it carries.

        Of those that have too many there are none: they are `lost`.
        """
        # Plain tuples are equal to holdings and cheap: all but a few of 5,000 logs end here.
        left = {
            key
            for log in transfers
            for key in ((log.token, log.sender), (log.token, log.recipient))
            if key not in without and key in known
        }
        noted: dict[Transfer, None] = {}
        for key, logs in moved(transfers, left).items() if left else ():
            holding = Holding(*key)
            open_logs = [log for log in told(logs) if log.block_hash != self._recorded.get(holding)]
            if self._add(holding, open_logs):
                noted.update(dict.fromkeys(open_logs))
        return tuple(noted)

    def carried(self) -> frozenset[Transfer]:
        """Of all holdings, each once."""
        return frozenset(log for logs in self.logs.values() for log in logs or ())

    def lose(self, holdings: Iterable[Holding]) -> None:
        """Logs of these were missed: until their next record nothing is known for sure."""
        self.logs.update((holding, None) for holding in holdings if holding.token != NATIVE)

    def end(self, holding: Holding) -> None:
        """Nothing is carried for it any more."""
        self.logs.pop(holding, None)

    def cut(self, number: int) -> None:
        """Forget logs of blocks above this one, which are orphaned."""
        for holding, logs in tuple(self.logs.items()):
            kept = tuple(log for log in logs or () if log.block_number <= number)
            if logs is not None and len(kept) < len(logs):
                self._put(holding, kept)

    def take_over(self, commit: Commit, known: Container[Holding], above: Above) -> None:
        """What an earlier life committed: `above` tells of the updates before it, `known` holdings have a balance."""
        ancestor, facts = commit.ancestor, commit.facts
        if ancestor is not None:
            # The logs of a block in the place of an orphaned one came after the retractions.
            self.note([log for log in commit.noted if log.block_number <= ancestor], known)
            self.account([fact for fact in facts if isinstance(fact, BalanceReverted)], above)
            facts = tuple(fact for fact in facts if not isinstance(fact, BalanceReverted))
        self.note([log for log in commit.noted if ancestor is None or log.block_number > ancestor], known)
        self.lose(commit.lost)
        self.account(facts, above)

    def account(self, facts: Iterable[Fact], above: Above) -> None:
        """After a commit of these facts; `above` tells of the updates before it that it may take back."""
        self.lost.clear()
        cut_at: int | None = None
        for fact in facts:
            match fact:
                case BalanceUpdated():
                    self.logs.pop(fact.holding, None)
                    self._recorded[fact.holding] = fact.block.hash
                case BalanceReverted():
                    if cut_at is None:
                        cut_at = fact.block.number
                        self.cut(cut_at)
                        taken_back = _oldest(above(cut_at))
                    self._recorded.pop(fact.holding, None)
                    self._put(fact.holding, _left(fact, taken_back.get(fact.holding)))
                case StreamResync():
                    # Everything was read anew: what is the same as before needs no explanation.
                    self.logs.clear()
                case _:
                    pass

    def _add(self, holding: Holding, logs: Iterable[Transfer]) -> bool:
        """Whether they are carried."""
        known = self.logs.get(holding, ())
        if known is None:
            return False
        seen = {(log.block_hash, log.log_index) for log in known}
        grown = (*known, *(log for log in logs if (log.block_hash, log.log_index) not in seen))
        room = MOST_LOGS_IN_ALL - sum(len(others or ()) for others in self.logs.values()) + len(known)
        if len(grown) > min(MOST_LOGS, room):
            self._put(holding, None)
            self.lost.add(holding)
            return False
        self._put(holding, grown)
        return True

    def _put(self, holding: Holding, logs: tuple[Transfer, ...] | None) -> None:
        self.logs[holding] = logs
        if logs == () or holding.token == NATIVE:
            del self.logs[holding]


def _oldest(updates: Iterable[BalanceUpdated]) -> dict[Holding, BalanceUpdated]:
    oldest: dict[Holding, BalanceUpdated] = {}
    for update in updates:
        if update.holding not in oldest or update.block.number < oldest[update.holding].block.number:
            oldest[update.holding] = update
    return oldest


def _left(fact: BalanceReverted, taken_back: BalanceUpdated | None) -> tuple[Transfer, ...] | None:
    """What the orphaned record had accounted for, as far as the common ancestor has it as well."""
    if fact.anchor:
        return ()
    if taken_back is None or taken_back.unexplained is None:
        return None
    return tuple(log for log in taken_back.transfers if log.block_number <= fact.block.number)
