"""Who wants which event: filters, and an index of them that makes one lookup serve hundreds of subscribers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from indexer.api.hub.frames import Told
from indexer.domain.accounts.amounts import AccountKey, Slot
from indexer.domain.chain import Address, Holding, Token
from indexer.domain.telling.events import EVENT_TYPES

TYPES: Final = (*EVENT_TYPES.values(), "history.filled")
_BALANCE_TYPES: Final = (None, "balance.updated", "balance.reverted")
_AMOUNT_TYPES: Final = (None, "balance.updated", "balance.changed")

Bucket = tuple[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Filter:
    """Wants what agrees with every field that is given."""

    type: str | None = None
    chain: int | None = None
    token: Token | None = None
    solver: Address | None = None
    exchange: str | None = None
    account: str | None = None
    wallet: str | None = None
    asset: str | None = None

    def accepts(self, told: Told) -> bool:
        return (
            (self.solver is None or self.solver == told.solver)
            and (self.token is None or self.token == told.token)
            and (self.chain is None or self.chain == told.chain)
            and (self.asset is None or self.asset == told.asset)
            and (self.account is None or self.account == told.account)
            and (self.wallet is None or self.wallet == told.wallet)
            and (self.exchange is None or self.exchange == told.exchange)
            and (self.type is None or self.type == told.type)
        )

    @property
    def is_of_chains(self) -> bool:
        """Whether it names what only chains have."""
        return (self.chain, self.token, self.solver) != (None, None, None)

    @property
    def is_of_accounts(self) -> bool:
        """Whether it names what only exchange accounts have."""
        return any(one is not None for one in (self.exchange, self.account, self.wallet, self.asset))

    @property
    def wants_balances(self) -> bool:
        return self.type in _BALANCE_TYPES and not self.is_of_accounts

    @property
    def wants_amounts(self) -> bool:
        return self.type in _AMOUNT_TYPES and not self.is_of_chains

    def names(self, account: AccountKey) -> bool:
        return self.exchange in (None, account.exchange) and self.account in (None, account.name)

    def covers_amount(self, account: AccountKey, slot: Slot) -> bool:
        """Whether what this account holds there belongs into a snapshot."""
        return (
            self.wants_amounts
            and self.names(account)
            and self.wallet in (None, slot.wallet)
            and self.asset in (None, slot.asset)
        )

    def covers(self, chain_id: int, holding: Holding) -> bool:
        """Whether this balance belongs into a snapshot."""
        return (
            self.wants_balances
            and (self.solver is None or self.solver == holding.solver)
            and (self.token is None or self.token == holding.token)
            and (self.chain is None or self.chain == chain_id)
        )

    @property
    def bucket(self) -> Bucket | None:
        """The field that narrows most; nothing for a filter that wants everything."""
        for name, value in (
            ("solver", self.solver),
            ("token", self.token),
            ("account", self.account),
            ("asset", self.asset),
            ("chain", self.chain),
            ("exchange", self.exchange),
            ("wallet", self.wallet),
            ("type", self.type),
        ):
            if value is not None:
                return name, value
        return None


EVERYTHING: Final = (Filter(),)


class Wanted:
    """The filters of one subscription, by their narrowest field: a thousand of them cost no more than one."""

    def __init__(self, filters: Iterable[Filter]) -> None:
        self.filters = tuple(filters)
        self._buckets: dict[Bucket | None, list[Filter]] = {}
        for one in self.filters:
            self._buckets.setdefault(one.bucket, []).append(one)

    def accepts(self, told: Told) -> bool:
        return any(one.accepts(told) for bucket in (None, *_buckets_of(told)) for one in self._buckets.get(bucket, ()))

    def covers(self, chain_id: int, holding: Holding) -> bool:
        """Whether this balance belongs into a snapshot."""
        return any(
            one.covers(chain_id, holding)
            for bucket in (None, *_buckets_of_balance(chain_id, holding))
            for one in self._buckets.get(bucket, ())
        )

    def covers_amount(self, account: AccountKey, slot: Slot) -> bool:
        """Whether what this account holds there belongs into a snapshot."""
        return any(
            one.covers_amount(account, slot)
            for bucket in (None, *_buckets_of_amount(account, slot))
            for one in self._buckets.get(bucket, ())
        )


Reader = TypeVar("Reader")


class Interest(Generic[Reader]):
    """One filter of one reader; compared by identity, so that equal filters of two subscriptions stay apart."""

    __slots__ = ("reader", "wanted")

    def __init__(self, reader: Reader, wanted: Filter) -> None:
        self.reader = reader
        self.wanted = wanted


class Interests(Generic[Reader]):
    """All live filters by their narrowest field."""

    def __init__(self) -> None:
        self.everything: dict[Reader, int] = {}
        """Those who want every event, and how many of their filters say so."""
        self._buckets: dict[Bucket, dict[Interest[Reader], None]] = {}

    def __bool__(self) -> bool:
        return bool(self.everything or self._buckets)

    def add(self, reader: Reader, filters: Iterable[Filter]) -> Sequence[Interest[Reader]]:
        """What `remove` wants to have back."""
        added = [Interest(reader, wanted) for wanted in filters]
        for interest in added:
            bucket = interest.wanted.bucket
            if bucket is None:
                self.everything[reader] = self.everything.get(reader, 0) + 1
            else:
                self._buckets.setdefault(bucket, {})[interest] = None
        return added

    def remove(self, interests: Iterable[Interest[Reader]]) -> None:
        for interest in interests:
            bucket = interest.wanted.bucket
            if bucket is None:
                self._remove_from_everything(interest.reader)
            else:
                del self._buckets[bucket][interest]
                if not self._buckets[bucket]:
                    del self._buckets[bucket]

    def matched(self, events: Iterable[Told]) -> Mapping[Reader, list[Told]]:
        """Per reader with filters what it wants of these, each once and in order; without those in `everything`."""
        matched: dict[Reader, list[Told]] = {}
        if not self._buckets:
            return matched
        for told in events:
            for bucket in _buckets_of(told):
                for interest in self._buckets.get(bucket, ()):
                    reader = interest.reader
                    if reader in self.everything or not interest.wanted.accepts(told):
                        continue
                    wanted = matched.setdefault(reader, [])
                    if not wanted or wanted[-1] is not told:
                        wanted.append(told)
        return matched

    def _remove_from_everything(self, reader: Reader) -> None:
        self.everything[reader] -= 1
        if not self.everything[reader]:
            del self.everything[reader]


def _buckets_of(told: Told) -> Iterable[Bucket]:
    if told.account is not None:
        return (
            ("account", told.account),
            ("asset", told.asset),
            ("exchange", told.exchange),
            ("wallet", told.wallet),
            ("type", told.type),
        )
    if told.solver is not None and told.token is not None:
        return ("solver", told.solver), ("token", told.token), ("chain", told.chain), ("type", told.type)
    return ("chain", told.chain), ("type", told.type)


def _buckets_of_balance(chain_id: int, holding: Holding) -> Iterable[Bucket]:
    types = (("type", name) for name in _BALANCE_TYPES if name is not None)
    return ("solver", holding.solver), ("token", holding.token), ("chain", chain_id), *types


def _buckets_of_amount(account: AccountKey, slot: Slot) -> Iterable[Bucket]:
    types = (("type", name) for name in _AMOUNT_TYPES if name is not None)
    named = (("account", account.name), ("asset", slot.asset), ("exchange", account.exchange), ("wallet", slot.wallet))
    return *named, *types
