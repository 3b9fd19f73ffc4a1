"""A table of the file while it is read: knows its key, collects problems, and who asked for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from indexer.config.environment import Expanded, expand
from indexer.config.showing import show, show_key
from indexer.config.values import Reader, WrongValue, did_you_mean, is_much_like, name
from indexer.errors import Problem

T = TypeVar("T")


class _Unset:
    """Stands where a variable was not set; told already, so nobody tells more about it."""


UNSET: Final = _Unset()


@dataclass(slots=True)
class Report:
    """The problems found so far: first what the environment lacks, then table by table."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, key: str, message: str, hint: str, value: str | None = None) -> None:
        self.problems.append(Problem(key, value, message, hint))


class Table:
    """Values are taken by key; what nobody took is refused by `close`."""

    def __init__(self, raw: Mapping[str, Any], report: Report, key: str = "") -> None:
        self._raw = raw
        self._taken: dict[str, None] = {}
        self.report = report
        self.key = key

    def path(self, key: str) -> str:
        return joined(self.key, key)

    def has(self, key: str) -> bool:
        """Whether anything at all stands there, right or wrong."""
        return bool(self._raw.get(key))

    def is_given(self, key: str) -> bool:
        return key in self._raw

    def is_empty(self, key: str) -> bool:
        """Whether there is nothing, or a list in which nothing stands."""
        value = self._raw.get(key)
        return value is None or (isinstance(value, list) and all(entry == "" for entry in value))

    def wrong(self, key: str, message: str, hint: str, value: object = None) -> None:
        """Where a `value` is wrong, it is shown as it stands in the file."""
        self.report.add(self.path(key), message, hint, None if value is None else show(self._raw.get(key, value)))

    def optional(self, key: str, read: Reader[T], default: T) -> T:
        value = self._take(key)
        if value is None or (isinstance(value, Expanded) and not value):
            return default
        return self._read(self.path(key), value, read, default)

    def required(self, key: str, read: Reader[T], otherwise: T, hint: str) -> T:
        """The value; where it is missing or wrong, `otherwise`, in settings that nobody will get to see."""
        value = self._take(key)
        if value is None:
            self.wrong(key, "is missing", hint)
            return otherwise
        return self._read(self.path(key), value, read, otherwise)

    def list_of(self, key: str, read: Reader[T], hint: str) -> tuple[T, ...]:
        """The entries that can be read, empty ones left out, each of them once."""
        value = self._take(key)
        if value is None or value is UNSET:
            return ()
        if not isinstance(value, list):
            self.wrong(key, "expected a list", hint, value)
            return ()
        seen: dict[T, str] = {}
        for index, entry in enumerate(value):
            at = f"{self.path(key)}[{index}]"
            if entry in ("", UNSET):
                continue
            for parsed in self._each(at, entry, read):
                if parsed in seen:
                    self.report.add(at, f"is the same as {seen[parsed]}", "keep one of the two", show(entry))
                seen.setdefault(parsed, at)
        return tuple(seen)

    def table(self, key: str) -> Table:
        """The table under this key; an empty one where there is none."""
        value = self._take(key)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, "expected a table", f"write [{self.path(key)}] above its keys", value)
        return Table(value if isinstance(value, dict) else {}, self.report, self.path(key))

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """The tables `[key.<name>]`."""
        return self.table(key).children()

    def children(self) -> Iterator[tuple[str, Table]]:
        for key, value in self._raw.items():
            for title in self._each(self.path(key), key, name):
                table = self.table(key)
                if isinstance(value, dict):
                    yield title, table

    def rows(self, key: str) -> Iterator[Table]:
        """The tables `[[key]]`."""
        value = self._take(key)
        hint = f"write [[{self.path(key)}]] above each of them"
        if value is not None and not isinstance(value, list):
            self.wrong(key, "expected a list of tables", hint, value)
            return
        for index, row in enumerate(value or ()):
            at = f"{self.path(key)}[{index}]"
            if isinstance(row, dict):
                yield Table(row, self.report, at)
            else:
                self.report.add(at, "expected a table", hint, show(row))

    def close(self, places: Mapping[str, str] | None = None) -> None:
        """Refuse every key that nobody took; `places` knows where keys of other tables belong."""
        known = tuple(self._taken)
        for key in self._raw:
            if key in self._taken:
                continue
            elsewhere = f"`{key}` belongs under {places[key]}" if places and key in places else None
            hint = elsewhere or did_you_mean(key, known) or f"known here: {', '.join(known)}"
            # The value is not shown: a mistyped `secret` is still a secret.
            self.report.add(joined(self.key, key, is_known=self._is_word(key)), "is not a known key", hint)

    def _is_word(self, key: str) -> bool:
        """Whether somebody meant it as a key: what a secret in the wrong place is like heads no table."""
        value = self._raw[key]
        heads_a_table = isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict) for v in value))
        return heads_a_table or is_much_like(key, tuple(self._taken))

    def _take(self, key: str) -> Any:
        self._taken[key] = None
        return self._raw.get(key)

    def _read(self, at: str, value: object, read: Reader[T], otherwise: T) -> T:
        return next(iter(self._each(at, value, read)), otherwise)

    def _each(self, at: str, value: object, read: Reader[T]) -> tuple[T, ...]:
        """The parsed value, or nothing where it is wrong: then the problem is on the report."""
        if value is UNSET:
            return ()
        try:
            return (read(value),)
        except WrongValue as wrong:
            self.report.add(at, wrong.message, wrong.hint, wrong.shown)
            return ()


def joined(table: str, key: str, *, is_known: bool = True) -> str:
    """A dotted key as TOML writes it, without what may be a secret in the wrong place."""
    part = show_key(key, is_known=is_known)
    return f"{table}.{part}" if table else part


def filled_in(value: Any, environ: Mapping[str, str], report: Report, key: str = "") -> Any:
    """The tree with every text expanded; what can't be is told, and stands there as `UNSET`."""
    match value:
        case dict():
            return {name: filled_in(inner, environ, report, joined(key, name)) for name, inner in value.items()}
        case list():
            return [filled_in(inner, environ, report, f"{key}[{index}]") for index, inner in enumerate(value)]
        case str():
            return _expanded(value, environ, report, key)
        case _:
            return value


def _expanded(value: str, environ: Mapping[str, str], report: Report, key: str) -> str | _Unset:
    expansion = expand(value, environ)
    for variable in expansion.unset:
        hint = f"set it, or give a default: ${{{variable}:-...}}"
        report.add(key, f"the environment variable {variable} is not set", hint, f"${{{variable}}}")
    if expansion.is_broken:
        # Not shown: it may be a secret that happens to hold the two characters.
        hint = "write ${NAME} or ${NAME:-default}, none inside another; to mean it literally, put it into a variable"
        report.add(key, "holds a ${ that begins no variable", hint)
    if expansion.unset or expansion.is_broken:
        return UNSET
    return Expanded(expansion.text, expansion.written) if expansion.is_changed else value
