"""Where an event goes on NATS: one rule for each subject of docs/api.md, also for types not known yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from indexer.domain.telling.streams import chain_of

ROOTS: Final = ("balance", "positions", "funding_fees", "alerts", "streams")

_KEPT: Final = frozenset("-_:")


@dataclass(frozen=True, slots=True)
class Names:
    """What is watched under which name, just now; what is not, goes by its chain id or address."""

    chains: Mapping[int, str] = field(default_factory=dict)
    solvers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """One event on its way: `body` is the JSON that websocket clients get, too."""

    subject: str
    stream: str
    seq: int
    id: str
    body: Mapping[str, Any]

    @property
    def root(self) -> str:
        return self.subject.partition(".")[0]


def notice_of(body: Mapping[str, Any], names: Names) -> Notice:
    return Notice(subject_of(body, names), body["stream"], body["seq"], body["id"], body)


def subject_of(body: Mapping[str, Any], names: Names) -> str:
    """The subject of an event, from its JSON."""
    kind, stream, data = body["type"], body["stream"], body["data"]
    words = kind.split(".")
    if "alert" in (words[0], words[-1]):
        return f"alerts.{token(str(data.get('kind') or words[-1]))}"
    place = _place(stream, data, names)
    if place is None:
        return f"streams.{token(stream)}"
    match words[0]:
        case "balance":
            return f"balance.{place}"
        case "position" if _is_account(stream):
            return f"positions.{place}"
        case "funding_fee" if _is_account(stream):
            return f"funding_fees.{place}"
        case _:
            return f"streams.{token(stream)}"


@lru_cache(maxsize=4_096)
def token(name: str) -> str:
    """A name as one part of a subject: letters, digits, `-`, `_` and `:` stay, all else is percent-encoded.

    Two names never share one, since `%` itself is encoded.
    """
    return "".join(
        char if char.isalnum() or char in _KEPT else "".join(f"%{byte:02X}" for byte in char.encode()) for char in name
    )


def covers(wide: str, narrow: str) -> bool:
    """Whether every subject that agrees with `narrow` also agrees with `wide`; both may hold wildcards."""
    wanted, given = wide.split("."), narrow.split(".")
    for index, part in enumerate(wanted):
        if index == len(given):
            return False
        if part == ">":
            return True
        if given[index] == ">" or part not in ("*", given[index]):
            return False
    return len(wanted) == len(given)


def _place(stream: str, data: Mapping[str, Any], names: Names) -> str | None:
    """Whose event it is: chain and solver, or exchange and account; nothing where it is nobody's in particular."""
    chain_id, solver = chain_of(stream), data.get("solverAddress")
    if chain_id is not None:
        if solver is None:
            return None
        return f"{token(names.chains.get(chain_id, str(chain_id)))}.{token(names.solvers.get(solver, solver))}"
    _, exchange, account = (*stream.split(":", 2), "", "")[:3]
    return f"{token(exchange)}.{token(account)}" if _is_account(stream) and exchange and account else None


def _is_account(stream: str) -> bool:
    return stream.startswith("exchange:")
