"""What clients send, read strictly: a frame is refused with the name of the field that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import orjson

from indexer.api.hub.filters import EVERYTHING, TYPES, Filter
from indexer.api.hub.limits import Limits
from indexer.api.objects import parsed
from indexer.api.parameters import INT64, address, asset, chain_id, did_you_mean, token
from indexer.domain.accounts.amounts import AccountKey, Wallet
from indexer.domain.accounts.events import ACCOUNT_EVENT_TYPES
from indexer.domain.telling.streams import account_of, chain_of
from indexer.errors import Impossible, NotFound, Refused

SubscriptionId = str | int | None
"""As the client chose it; a client with one subscription may leave it out."""

_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "subscribe": ("op", "id", "filters", "snapshot", "after"),
    "unsubscribe": ("op", "id"),
    "ping": ("op", "id"),
}
_OF_CHAINS: Final = ("chain", "token", "solver")
_OF_ACCOUNTS: Final = ("exchange", "account", "wallet", "asset")
_FILTER_FIELDS: Final = ("type", *_OF_CHAINS, *_OF_ACCOUNTS)
_BOTH_TELL: Final = ("balance.updated", "stream.stale", "stream.live")
_ACCOUNTS_TELL: Final = tuple(ACCOUNT_EVENT_TYPES.values())
_NEVER_HAVE: Final[Mapping[str, tuple[str, ...]]] = {
    "funding_fee": ("wallet",),
    "position.updated": ("wallet", "asset"),
    "stream.stale": ("token", "solver", "wallet", "asset"),
    "stream.live": ("token", "solver", "wallet", "asset"),
    "stream.resync": ("token", "solver"),
    "chain.finalized": ("token", "solver"),
}
"""Of what these types are about there is more than that says: whole streams, whole chains, whole accounts."""


@dataclass(frozen=True, slots=True)
class Known:
    """What filters may name: the chains, and the exchange accounts that are followed."""

    chains: Mapping[str, int]
    accounts: Sequence[AccountKey]


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Events that any of the filters accepts, after what the client has already."""

    id: SubscriptionId
    filters: tuple[Filter, ...] = EVERYTHING
    snapshot: bool = False
    after: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """No more of this subscription."""

    id: SubscriptionId


@dataclass(frozen=True, slots=True)
class Ping:
    """A question for a sign of life."""


Request = Subscribe | Unsubscribe | Ping


def decoded(text: str, limits: Limits) -> Mapping[str, Any]:
    """The frame as a JSON object."""
    if len(text) > limits.frame_bytes or len(text.encode()) > limits.frame_bytes:
        raise Refused(f"a frame may have {limits.frame_bytes} bytes")
    try:
        value = parsed(text)
    except orjson.JSONDecodeError as error:
        raise Refused(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refused("a frame is a JSON object")
    return value


def subscription_id(frame: Mapping[str, Any]) -> SubscriptionId:
    value = frame.get("id")
    if value is None or (isinstance(value, str) and len(value) <= 128):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and -INT64 - 1 <= value <= INT64:
        return value
    raise Refused("a text of at most 128 characters, or a whole number of 64 bits, is expected", "id")


def parse(frame: Mapping[str, Any], known: Known, limits: Limits) -> Request:
    op = frame.get("op")
    if not isinstance(op, str) or op not in _FIELDS:
        what = f"unknown op {op[:64]!r}{did_you_mean(op, _FIELDS)}" if isinstance(op, str) else "a text is expected"
        raise Refused(f"{'missing' if op is None else what}; known are {', '.join(_FIELDS)}", "op")
    _refuse_unknown(frame, _FIELDS[op], "")
    match op:
        case "subscribe":
            return Subscribe(
                id=subscription_id(frame),
                filters=_filters(frame.get("filters", []), known, limits),
                snapshot=_snapshot(frame.get("snapshot", False)),
                after=_after(frame.get("after", {})),
            )
        case "unsubscribe":
            return Unsubscribe(subscription_id(frame))
        case _:
            return Ping()


def _filters(value: Any, known: Known, limits: Limits) -> tuple[Filter, ...]:
    if not isinstance(value, list):
        raise Refused("a list of filters is expected", "filters")
    if len(value) > limits.filters:
        raise Refused(f"at most {limits.filters} filters, not {len(value)}", "filters")
    # Equal filters would only be looked at twice.
    return tuple(dict.fromkeys(_filter(one, f"filters[{at}]", known) for at, one in enumerate(value))) or EVERYTHING


def _filter(value: Any, where: str, known: Known) -> Filter:
    if not isinstance(value, dict):
        raise Refused("a filter is an object", where)
    _refuse_unknown(value, _FILTER_FIELDS, f"{where}.")
    kind = _text(value, "type", where)
    if kind is not None and kind not in TYPES:
        raise Refused(f"unknown type {kind[:64]!r}{did_you_mean(kind, TYPES)}", f"{where}.type")
    _refuse_contradiction(value, kind, where)
    token_text, solver_text = _text(value, "token", where), _text(value, "solver", where)
    return Filter(
        type=kind,
        chain=_chain(value["chain"], f"{where}.chain", known.chains) if "chain" in value else None,
        token=None if token_text is None else token(token_text, f"{where}.token"),
        solver=None if solver_text is None else address(solver_text, f"{where}.solver"),
        **_place(value, where, known.accounts),
    )


def _place(value: Mapping[str, Any], where: str, accounts: Sequence[AccountKey]) -> Mapping[str, str | None]:
    """Where at an exchange; only accounts that are followed are known."""
    place = {name: _text(value, name, where) for name in _OF_ACCOUNTS}
    exchange, account, wallet, named = place.values()
    exchanges = {key.exchange for key in accounts}
    if exchange is not None and exchange not in exchanges:
        hint = did_you_mean(exchange, exchanges)
        raise NotFound(f"no account of {exchange[:64]!r} is followed{hint}", f"{where}.exchange")
    names = {key.name for key in accounts if exchange in (None, key.exchange)}
    if account is not None and account not in names:
        hint = did_you_mean(account, names)
        raise NotFound(f"no account {account[:64]!r} is followed{hint}", f"{where}.account")
    if wallet is not None and wallet not in get_args(Wallet):
        hint = did_you_mean(wallet, get_args(Wallet))
        raise Refused(f"one of {', '.join(get_args(Wallet))} is expected{hint}", f"{where}.wallet")
    if named is not None:
        asset(named, f"{where}.asset")
    return place


def _refuse_contradiction(value: Mapping[str, Any], kind: str | None, where: str) -> None:
    """What no event can agree with: nothing is both on a chain and at an exchange."""
    of_chains = next((name for name in _OF_CHAINS if name in value), None)
    of_accounts = next((name for name in _OF_ACCOUNTS if name in value), None)
    if of_chains is not None and of_accounts is not None:
        raise Impossible(f"`{of_chains}` is of chains: no event has both", f"{where}.{of_accounts}")
    never = next((name for name in _NEVER_HAVE.get(kind or "", ()) if name in value), None)
    if never is not None:
        raise Impossible(f"no event of the type {kind} has it", f"{where}.{never}")
    if kind is None or kind in _BOTH_TELL:
        return
    contradicting = of_chains if kind in _ACCOUNTS_TELL else of_accounts
    if contradicting is not None:
        raise Impossible(f"no event of the type {kind} has it", f"{where}.{contradicting}")


def _chain(value: Any, where: str, chains: Mapping[str, int]) -> int:
    if isinstance(value, str):
        return chain_id(value, chains, where)
    if _is_whole(value):
        return chain_id(str(value), chains, where)
    raise Refused("a chain id or a configured name is expected", where)


def _text(value: Mapping[str, Any], name: str, where: str) -> str | None:
    text = value.get(name)
    if name in value and not isinstance(text, str):
        raise Refused("a text is expected", f"{where}.{name}")
    return text


def _snapshot(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused("true or false is expected", "snapshot")
    return value


def _after(value: Any) -> Mapping[str, int]:
    if not isinstance(value, dict):
        raise Refused("an object of streams and their last number is expected", "after")
    for stream, seq in value.items():
        if not _is_stream(stream):
            raise Refused("streams are chain:<id>, history:<id> and exchange:<exchange>:<name>", f"after.{stream[:64]}")
        if not _is_whole(seq):
            raise Refused(f"a whole number from 0 to {INT64} is expected", f"after.{stream}")
    return value


def _is_stream(name: str) -> bool:
    return chain_of(name) is not None or (len(name) <= 200 and account_of(name) is not None)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INT64


def _refuse_unknown(value: Mapping[str, Any], known: Iterable[str], prefix: str) -> None:
    for name in value:
        if name not in known:
            raise Refused(f"unknown field{did_you_mean(name, known)}", f"{prefix}{name[:64]}")
