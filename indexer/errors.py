"""Our errors, named by what they mean for whoever catches them."""

from __future__ import annotations

from dataclasses import dataclass


class IndexerError(Exception):
    """The base of every error that we raise on purpose."""


class Transient(IndexerError):
    """Trying again later may help."""


class Permanent(IndexerError):
    """Trying again will not help; somebody has to change something."""


# --- chains ----------------------------------------------------------------------------------------------------------


class NodeUnreachable(Transient):
    """No endpoint of the chain answers."""


class GivenUp(NodeUnreachable):
    """Somebody waited long enough for an answer; the text is ours, and says nothing about where a node lives."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Throttled(Transient):
    """The endpoint asks us to slow down."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class BadAnswer(Transient):
    """The node answered something that cannot be an answer to what we asked."""


class ResponseTooLarge(Transient):
    """The endpoint refuses a range, batch or result of this size; a smaller one may pass."""


class BlockUnknown(Transient):
    """The endpoint does not have this block: it lags, or the block was orphaned. Never zero."""


class Unheard(BlockUnknown):
    """Whoever answers does not have this block, and whoever may have it keeps us waiting: nothing follows from that."""


class Doubtful(Transient):
    """What nodes say of the newest blocks does not fit together: ours are kept until it does."""


class StateMissing(Permanent):
    """The node knows the block, but has pruned its state. `unasked` are lost for a moment, and may have it."""

    def __init__(self, message: str, unasked: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.unasked = unasked


class NotAToken(Permanent):
    """The address has no code, or does not answer `balanceOf` with one 32-byte word."""


class WrongChain(Permanent):
    """The node, or the store, follows another chain than the configuration says."""


# --- events ----------------------------------------------------------------------------------------------------------


class EventUnwritable(Permanent):
    """No JSON can be made of it, now or later: a mistake of ours, which must not stand in the way of other events."""


# --- programs --------------------------------------------------------------------------------------------------------


class Stopped(Permanent):
    """The indexer that is asked runs no longer."""


# --- exchanges -------------------------------------------------------------------------------------------------------


class VenueUnreachable(Transient):
    """The exchange does not answer, or says that it cannot just now."""


class RefusedWithoutAWord(VenueUnreachable):
    """A 401 that does not name the key: the exchange's word on it, or an outage of somebody in between."""


class ClockApart(BadAnswer):
    """Our clock and the exchange's differ by more than it allows; it is asked for its time, once."""


class BadCredentials(Permanent):
    """The exchange refuses the key: it is wrong, expired, or may not be used from here."""


class WalletUnsupported(Permanent):
    """The exchange has no such wallet, or the key may not read it."""


# --- store -----------------------------------------------------------------------------------------------------------


class StoreUnavailable(Transient):
    """The database does not answer, or has no primary just now."""


class Fenced(Permanent):
    """Another process writes this stream."""


class BeginsAnew(Permanent):
    """No failure: what an actor has read of its stream is out of date, and its next life reads it again."""


class CommitTooLarge(Permanent):
    """A commit does not fit one document; it has to be split."""


class StoreUnusable(Permanent):
    """The store cannot be used at all: not found, locked by another service, or of a newer schema."""


# --- bus -------------------------------------------------------------------------------------------------------------


class BusUnreachable(Transient):
    """NATS does not answer, or cannot store what it is sent just now."""


class BusRefuses(Permanent):
    """NATS answers, but not so: credentials, permissions, streams; somebody has to change something there or here."""


class EventTooLarge(Permanent):
    """NATS does not take messages of this size, now or later."""


# --- requests --------------------------------------------------------------------------------------------------------


class Refused(IndexerError):
    """A request cannot be granted; `field` names the part of it that is wrong."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotFound(Refused):
    """There is no such thing."""


class NameTaken(Refused):
    """The name is used already."""


class Busy(Refused):
    """Only one at a time, and one is going on."""


class Impossible(Refused):
    """Well formed, but cannot be done."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: the dotted key it is at, what stands there (secrets masked), what is wrong, and what to do."""

    key: str
    value: str | None
    message: str
    hint: str

    def __str__(self) -> str:
        given = "" if self.value is None else f" (it is {self.value})"
        return f"{self.key}: {self.message}{given}; {self.hint}"


class ConfigError(Permanent):
    """The configuration cannot work; `problems` lists every mistake."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
