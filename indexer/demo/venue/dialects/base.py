"""What every dialect is made of: routes for requests, sessions for sockets, its own words for refusals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl

import orjson

from indexer.demo.venue.keys import Keys
from indexer.demo.venue.markets import Markets
from indexer.demo.venue.state import Account, AccountState, Change
from indexer.demo.venue.truth import Truth
from indexer.demo.venue.weights import Budget, Cost, Overdrawn, Weights


@dataclass(frozen=True, slots=True)
class Ask:
    """A request; `state` is the account as this answer shall show it, which is not always as it is."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: str
    ip: str
    account: Account | None = None
    state: AccountState | None = None

    @property
    def params(self) -> dict[str, str]:
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body, keep_blank_values=True))

    @property
    def json(self) -> dict[str, Any]:
        try:
            found = orjson.loads(self.body or b"{}")
        except orjson.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def owner(self) -> Account:
        if self.account is None:
            raise LookupError(f"{self.path} is answered without a key")
        return self.account

    @property
    def shown(self) -> AccountState:
        if self.state is None:
            raise LookupError(f"{self.path} is answered without a key")
        return self.state


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out."""

    payload: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The venue says no, in its own words."""

    def __init__(self, payload: Any, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(payload))
        self.answer = Answer(payload, status, headers or {})


@dataclass(frozen=True, slots=True)
class Route:
    """How one endpoint is answered, what it costs, whether a signature is needed."""

    answer: Callable[[Ask], Any]
    costs: tuple[Cost, ...] = ()
    signed: bool = True


@dataclass(frozen=True, slots=True)
class Frame:
    """What goes out on a socket; only what tells balances is ever dropped, repeated or late."""

    payload: Any
    kind: Literal["answer", "snapshot", "delta"] = "answer"


@dataclass(frozen=True, slots=True)
class Desk:
    """What a dialect works with."""

    truth: Truth
    keys: Keys
    markets: Markets
    weights: Weights
    now_ms: Callable[[], int]


class Session(ABC):
    """One socket: what it subscribed to, and what it is told."""

    numbers: ClassVar[bool] = False
    """Whether amounts are JSON numbers here although they are strings elsewhere."""

    beat_seconds: ClassVar[float] = 0.0
    """Every so often something is said without being asked; 0: never."""

    def opened(self) -> Iterable[Frame]:
        """Said before the client says anything."""
        return ()

    @abstractmethod
    def heard(self, text: str) -> Iterable[Frame]:
        """Answers to what the client said."""

    @abstractmethod
    def told(self, change: Change) -> Iterable[Frame]:
        """What the client is told of a change, if anything."""

    def beat(self) -> Iterable[Frame]:
        """What is said every `beat_seconds`."""
        return ()

    def closing(self) -> Iterable[Frame]:
        """Said when the venue ends the session because the key expired."""
        return ()

    @property
    def account(self) -> Account | None:
        """Whose session it is, once it is known."""
        return None


class Dialect(ABC):
    """One venue's language."""

    name: ClassVar[str]
    wallets: ClassVar[tuple[str, ...]]
    margin_wallet: ClassVar[str] = ""
    """Where the margin of positions lies."""
    cash: ClassVar[str] = "USDT"
    places: ClassVar[int] = 0
    """Decimals that an amount has at least."""
    numbers: ClassVar[bool] = False
    """Whether amounts are JSON numbers."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.routes: Mapping[tuple[str, str], Route] = self.routed()

    @abstractmethod
    def routed(self) -> Mapping[tuple[str, str], Route]:
        """Every endpoint, by method and path."""

    @abstractmethod
    def admitted(self, ask: Ask) -> Account:
        """Whose request it is; `Refused` when key, signature or time are wrong."""

    @abstractmethod
    def expired(self) -> Refused:
        """What is said to a key that is no longer good."""

    @abstractmethod
    def overdrawn(self, why: Overdrawn) -> Refused:
        """What is said to one who asked too much."""

    @abstractmethod
    def session(self, path: str, query: Mapping[str, str], ip: str) -> Session | None:
        """A new socket's session; None where the venue has no socket."""

    def route(self, ask: Ask) -> Route | None:
        return self.routes.get((ask.method, ask.path))

    def unknown(self, ask: Ask) -> Refused:
        return Refused({"code": 404, "msg": f"no such endpoint: {ask.path}"}, 404)

    def malformed(self, ask: Ask) -> Refused:
        """What is said to a parameter that makes no sense."""
        return self.unknown(ask)

    def costs(self, route: Route, ask: Ask) -> Sequence[Cost]:  # noqa: ARG002 - some venues price by what is asked
        return route.costs

    def caller(self, ask: Ask) -> str:
        """Whose budget a request counts against, before its signature is looked at."""
        return ask.ip

    def headers(self, ask: Ask, route: Route) -> Mapping[str, str]:  # noqa: ARG002 - some venues tell what was used
        return {}

    def told_numbers(self, ask: Ask) -> bool:  # noqa: ARG002 - some venues write numbers in some answers only
        return self.numbers

    def used(self, budget: Budget, caller: str) -> int:
        return int(self.desk.weights.level(self.name, budget, caller, self.desk.now_ms() / 1000))
