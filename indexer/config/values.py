"""Reads one value of the file into what it means, or says what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Literal, TypeVar, get_args
from urllib.parse import urlsplit

from indexer.addresses import Address, parse_address
from indexer.config.environment import Expanded
from indexer.config.settings import NO_SECRET
from indexer.config.showing import quoted, show, show_url, type_of
from indexer.masking import MASK, Secret, Url

T = TypeVar("T")
Reader = Callable[[object], T]

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?")
_NAME = re.compile(r"[^\W_]([\w .-]{0,62}[\w.-])?")


class WrongValue(ValueError):
    """What is wrong with a value, and what to do about it; `shown` is the value with its secrets masked."""

    def __init__(self, message: str, hint: str, shown: str | None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.shown = shown


def text(hint: str, *, pattern: str = r".+", longest: int = 200) -> Reader[str]:
    """A text on one line that looks like `pattern`."""
    shape = re.compile(pattern)

    def read(value: object) -> str:
        given = string(value, hint)
        if not given:
            raise WrongValue("is empty", hint, show(given))
        if len(given) > longest or not given.isprintable() or not shape.fullmatch(given):
            raise WrongValue("can't be used here", hint, show(given))
        return str(given)

    return read


def name(value: object) -> str:
    hint = "use up to 64 letters, digits, blanks and _ . - and begin with a letter or digit"
    given = string(value, hint)
    if not _NAME.fullmatch(given):
        raise WrongValue("is not a name", hint, show(given))
    return str(given)


def integer(least: int, most: int, *, or_word: str | None = None) -> Reader[int]:
    """A whole number; a text that came from the environment may be one."""
    hint = f"write {f'{json.dumps(or_word)} or ' if or_word else ''}a whole number from {least} to {most}"

    def read(value: object) -> int:
        if isinstance(value, Expanded) and re.fullmatch(r"[+-]?[0-9]{1,30}", value):
            given: object = int(value)
        else:
            given = value
        if isinstance(given, bool) or not isinstance(given, int):
            raise _wrong_type("an integer", value, hint)
        if not least <= given <= most:
            raise WrongValue("is out of range", hint, show(value))
        return given

    return read


def number(least: int, most: Decimal | int) -> Reader[Decimal]:
    """An exact number: as it stands there, also where TOML would make a float of it."""
    hint = f'write a number from {least} to {Decimal(most):f}, in quotes where every digit counts: "0.00000001"'

    def read(value: object) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise _wrong_type("a number", value, hint)
        try:
            given = Decimal(value if isinstance(value, int) else str(value))  # Python writes no int of 5,000 digits
        except InvalidOperation:
            raise WrongValue("is not a number", hint, show(value)) from None
        if not given.is_finite() or not least <= given <= most:
            raise WrongValue("is out of range", hint, show(value))
        return given

    return read


def block(value: object) -> int | Literal["latest"]:
    if value == "latest":
        return "latest"
    return integer(0, 2**53 - 1, or_word="latest")(value)


def boolean(value: object) -> bool:
    if isinstance(value, Expanded) and value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise _wrong_type("a boolean", value, "write true or false, without quotes")
    return value


def one_of(choices: object) -> Reader[str]:
    """One of a `Literal`'s words."""
    words: tuple[str, ...] = get_args(choices)

    def read(value: object) -> str:
        hint = f"use one of {', '.join(words)}"
        given = string(value, hint)
        if given not in words:
            raise WrongValue("is not known here", did_you_mean(given, words) or hint, show(given))
        return str(given)

    return read


def url(*schemes: str, hint: str = "") -> Reader[str]:
    """A URL with one of these schemes and a host."""
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    hint = hint or f"write a URL that begins with {wanted}"

    def read(value: object) -> str:
        shown = show_url(value)
        given = string(value, hint, shown)
        try:
            parts = urlsplit(given)
            is_whole = bool(parts.hostname) and parts.port != 0
        except ValueError as error:
            raise WrongValue("is not a URL: its host or port can't be read", hint, shown) from error
        if parts.scheme not in schemes:
            raise WrongValue(f"does not begin with {wanted}", hint, shown)
        if not is_whole or not given.isprintable() or " " in given:
            raise WrongValue("is not a URL: no host, or a blank inside", hint, shown)
        return Url(given)

    return read


def urls(*schemes: str) -> Reader[str]:
    """One URL, or several with commas in between."""
    read_one = url(*schemes)

    def read(value: object) -> str:
        if not isinstance(value, str):
            return read_one(value)
        parts: list[str] = [part.strip() for part in value.split(",")]
        if isinstance(value, Expanded):
            parts = [Expanded(part, value.written) for part in parts]
        return Url(",".join(map(read_one, parts)))

    return read


def address(value: object) -> Address:
    hint = "copy it again from a source you trust, as 0x and 40 hex digits"
    given = string(value, hint)
    try:
        return parse_address(given)
    except ValueError as error:
        # Anything longer may be a private key in the wrong place.
        is_plain = not isinstance(value, Expanded) and re.fullmatch(r"0[xX]\w{0,48}", given)
        raise WrongValue(str(error), hint, quoted(given) if is_plain else show(value)) from error


def secret(hint: str) -> Reader[Secret]:
    """A text that is shown to nobody, as a header could carry it."""

    def read(value: object) -> Secret:
        if not isinstance(value, str):
            raise WrongValue(f"expected a string, got {type_of(value)}", hint, MASK)
        if not value:
            raise WrongValue("is empty", hint, '""')
        if not re.fullmatch(r"[!-~]+", value):
            raise WrongValue("holds a blank, a control character or a letter outside ASCII", hint, MASK)
        return Secret(str(value))

    return read


def from_environment(variable: str) -> str:
    """What to do about a secret that is missing or wrong."""
    return f'take it from the environment, as in "${{{variable}}}"'


def credential(hint: str) -> Reader[Secret]:
    r"""The same, or a key in PEM: its lines as they are, or with `\n` between them as files of variables write it."""
    read_one = secret(hint)

    def read(value: object) -> Secret:
        if not isinstance(value, str) or not value.startswith("-----BEGIN "):
            return read_one(value)
        lines = value.strip().replace("\\n", "\n").splitlines()
        if not all(re.fullmatch(r"[ -~]+", line) for line in lines) or not lines[-1].startswith("-----END "):
            raise WrongValue("begins as a key in PEM, and does not end as one", hint, MASK)
        return Secret("\n".join(lines) + "\n")

    return read


def or_empty(read: Reader[str]) -> Reader[str]:
    """Empty text says "none" where that is the default."""
    return lambda value: "" if value == "" else read(value)


def or_none(read: Reader[Secret]) -> Reader[Secret]:
    return lambda value: NO_SECRET if value == "" else read(value)


def host(value: object) -> str:
    hint = "write an IP address or a host name, without scheme and port"
    given = string(value, hint)
    if not _HOST.fullmatch(given) and not _is_ip(given):
        raise WrongValue("is no host", hint, show(given))
    return str(given)


def is_loopback(given: str) -> bool:
    """Whether nobody outside this machine can reach it."""
    return ip_address(given).is_loopback if _is_ip(given) else given.lower() == "localhost"


def did_you_mean(given: str, known: tuple[str, ...]) -> str | None:
    near = get_close_matches(given.lower(), known, n=1)
    return f"did you mean `{near[0]}`?" if near else None


def is_much_like(given: str, known: tuple[str, ...]) -> bool:
    """But for a letter or two of it."""
    return bool(get_close_matches(given.lower(), known, n=1, cutoff=0.8))


def string(value: object, hint: str, shown: str | None = None) -> str:
    if not isinstance(value, str):
        raise _wrong_type("a string", value, hint, shown)
    return value


def _wrong_type(expected: str, value: object, hint: str, shown: str | None = None) -> WrongValue:
    return WrongValue(f"expected {expected}, got {type_of(value)}", hint, shown or show(value))


def _is_ip(given: str) -> bool:
    try:
        ip_address(given)
    except ValueError:
        return False
    return True
