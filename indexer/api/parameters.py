"""What stands in paths and queries, read strictly: refused with the field's name, never guessed or clamped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Final, NamedTuple

from aiohttp import web
from multidict import MultiMapping

from indexer.addresses import ZERO, parse_address
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Address, Holding, Token
from indexer.errors import Impossible, NotFound, Refused

INT64: Final = 2**63 - 1
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
LONGEST_ASSET: Final = 64

_FINEST: Final = timedelta(microseconds=1)
_LAST: Final = datetime.max.replace(tzinfo=UTC)

_WHOLE = re.compile(r"[0-9]{1,19}")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?([Zz]|[-+ ][0-9]{2}:[0-9]{2})"
)


class Query:
    """The query part of a request; every getter gives nothing for what is absent."""

    def __init__(self, query: MultiMapping[str]) -> None:
        self._query = query

    def refuse_unknown(self, known: Iterable[str]) -> None:
        names = tuple(known)
        for name in self._query:
            if name not in names:
                raise Refused(f"unknown parameter{did_you_mean(name, names)}", _shown(name))
            if len(self._query.getall(name)) > 1:
                raise Refused("given more than once", name)

    def text(self, name: str) -> str | None:
        return self._query.get(name)

    def whole(self, name: str, *, low: int = 0, high: int = INT64) -> int | None:
        text = self.text(name)
        return None if text is None else whole_number(text, name, low=low, high=high)

    def flag(self, name: str) -> bool:
        text = self.text(name)
        if text not in (None, "true", "false"):
            raise Refused(f"true or false is expected, not {_shown(text or '')!r}", name)
        return text == "true"

    def limit(self) -> int:
        limit = self.whole("limit", low=1, high=MAX_LIMIT)
        return DEFAULT_LIMIT if limit is None else limit

    def time(self, name: str) -> datetime | None:
        """The last one that we can count at or before what was given."""
        text = self.text(name)
        return None if text is None else rfc3339(text, name)

    def span(self) -> tuple[datetime | None, datetime | None]:
        """Of what we can count all that lies within: from the first one at or after `from`."""
        begun, ended = self.text("from"), self.text("to")
        start = None if begun is None else moment(begun, "from")
        end = None if ended is None else moment(ended, "to")
        if start is not None and end is not None and start > end:
            raise Impossible("`from` is later than `to`", "from")
        return start and start.rounded_up(), end and end.time

    def chain(self, chains: Mapping[str, int]) -> int | None:
        text = self.text("chain")
        return None if text is None else chain_id(text, chains)

    def token(self) -> Token | None:
        text = self.text("token")
        return None if text is None else token(text)

    def asset(self) -> str | None:
        text = self.text("asset")
        return None if text is None else asset(text, "asset")

    def solver(self) -> Address | None:
        text = self.text("solver")
        return None if text is None else address(text, "solver")


def refuse_to_come(start: datetime | None, now: datetime) -> None:
    """A span of which nothing has been yet: what will hold nobody knows."""
    if start is not None and start > now:
        raise Impossible("`from` is later than now", "from")


def located(request: web.Request, chains: Mapping[str, int]) -> tuple[int, Holding]:
    """The chain and holding that the path names."""
    path = request.match_info
    return chain_id(path["chain"], chains), Holding(token(path["token"]), address(path["solver"], "solver"))


def unwatched(watch: Watch, holding: Holding) -> str:
    """Which part of a path names what is not watched there."""
    return "token" if holding.solver in watch.solvers else "solver"


def chain_id(text: str, chains: Mapping[str, int], field: str = "chain") -> int:
    """By id or configured name; only configured chains are known."""
    if _WHOLE.fullmatch(text):
        number = int(text)
        if number in chains.values():
            return number
    elif text in chains:
        return chains[text]
    raise NotFound(f"no chain {_shown(text)!r} is configured{did_you_mean(text, chains)}", field)


def token(text: str, field: str = "token") -> Token:
    return NATIVE if text.lower() == NATIVE else address(text, field)


def address(text: str, field: str, *, strict_case: bool = False) -> Address:
    """In any case from paths and queries; `strict_case` for bodies, where a typo would be kept."""
    if text.lower() == ZERO:
        raise Impossible("the zero address is nobody's wallet and no token", field)
    try:
        return parse_address(text, strict_case=strict_case)
    except ValueError as error:
        raise Refused(str(error), field) from error


def asset(text: str, field: str) -> str:
    """Any that a venue may ever have: which there are, nobody knows before it holds one."""
    if not 0 < len(text) <= LONGEST_ASSET:
        raise Refused(f"a text of at most {LONGEST_ASSET} characters is expected", field)
    return text


def whole_number(text: str, field: str, *, low: int = 0, high: int = INT64) -> int:
    if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
        raise Refused(f"a whole number from {low} to {high} is expected, not {_shown(text)!r}", field)
    return int(text)


class Moment(NamedTuple):
    """A time as exact as it was written; they are in order. `finer` has the digits below a microsecond."""

    time: datetime
    finer: str = ""

    def rounded_up(self) -> datetime:
        if not self.finer or self.time > _LAST - _FINEST:
            return self.time
        return self.time + _FINEST


def rfc3339(text: str, field: str) -> datetime:
    """In UTC, cut to microseconds."""
    return moment(text, field).time


def moment(text: str, field: str) -> Moment:
    """In UTC. A `+` that was not escaped arrives as a space, so that a space before the offset is taken for one."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise Refused(f"a time like 2026-11-21T01:02:03Z is expected, not {_shown(text)!r}", field)
    day, clock, fraction, offset = match.groups(default="")
    offset = "+00:00" if offset in "Zz" else offset.replace(" ", "+")
    try:
        if clock.endswith(":60"):
            return Moment(_after_leap(datetime.fromisoformat(f"{day}T{clock[:-3]}:59{offset}")))
        whole = datetime.fromisoformat(f"{day}T{clock}{offset}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Refused(f"there is no such time: {_shown(text)!r}", field) from error
    digits = fraction[1:]
    return Moment(whole.replace(microsecond=int(digits[:6].ljust(6, "0"))), digits[6:].rstrip("0"))


def _after_leap(before: datetime) -> datetime:
    """The first moment after a leap second: blocks and clocks here count none. They end months, in UTC."""
    after = before.astimezone(UTC) + timedelta(seconds=1)
    if (after.day, after.hour, after.minute, after.second) != (1, 0, 0, 0):
        raise ValueError("no month ends there")
    return after


def did_you_mean(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word[:64], list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _shown(text: str) -> str:
    """Short enough to repeat in an answer."""
    return text if len(text) <= 64 else f"{text[:64]}…"
