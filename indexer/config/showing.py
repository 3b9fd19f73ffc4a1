"""What is shown of a value that is refused: only what is plainly no secret, and nothing that the environment held."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Final

from indexer.config.environment import Expanded
from indexer.masking import MASK, looks_like_key, mask_url

_LONGEST_SHOWN: Final = 80
_LONG_RUN: Final = 16
_SHORT_RUN: Final = 8
_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{40}")
_KEY = re.compile(r"[\w+/=-]{20,}")
_RUN = re.compile(r"[^\W_]+")
_VARIABLE: Final = r"\$\{\w+\}"
# Words as people write them, with blanks, commas and slashes; after a colon only what can be a port.
_WORDS = re.compile(rf"(?:[\w.,/\\+~* -]|{_VARIABLE}|:(?=[0-9]{{1,5}}(?![\w.]))|:(?=[/\\]))*")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,15}://", re.IGNORECASE)
_PORT: Final = rf"(?::(?:[0-9]{{0,5}}|\*\*\*|{_VARIABLE}))?"
_HOST: Final = rf"(?:\[[0-9A-Fa-f:.]*\]?|(?:[\w.*-]|{_VARIABLE})*){_PORT}"
# What is left of a URL once its secrets are out of it; anything else in it has no business there.
_MASKED_URL = re.compile(
    rf"(?P<user>\*\*\*@)?(?P<host>{_HOST}(?:,{_HOST})*)(?P<path>(?:/(?:[\w.~*-]|{_VARIABLE})*)*)"
    r"(?P<query>\?(?:[\w.~-]*=?\*\*\*&?)*)?(?P<fragment>#\*\*\*)?"
)
# Without its scheme a URL is known by its login, a dot or a port; any other word may be a password.
_HOST_ALONE = re.compile(r"\*\*\*@.*|localhost\b.*|[\w-]+(?:\.[\w-]+)+(?:[:/?].*)?|[\w-]+:[0-9]{1,5}(?:[/?].*)?")
_TYPES = {bool: "a boolean", int: "an integer", float: "a float", str: "a string", list: "a list", dict: "a table"}


def show(value: object) -> str:
    """The value as it could stand in the file, cut where it is long, masked where it may be a secret."""
    match value:
        case Expanded():
            return _quoted_short(value.variable or _harmless(value.written))
        case str():
            return _quoted_short(_harmless(value))
        case bool() | int() | float():
            return _number(value)
        case dt.date() | dt.time():
            return value.isoformat()
        case []:
            return "[]"
        case _:
            return type_of(value)


def show_url(value: object) -> str:
    """The same of what should be a URL: what is no host either is masked, and so is a number."""
    match value:
        case Expanded() if value.variable:
            return quoted(value.variable)
        case str():
            written = value.written if isinstance(value, Expanded) else value
            return _quoted_short(_harmless_url(written) if written else "")
        case bool() | list() | dict():
            return show(value)
        case _:
            return quoted(MASK)


def show_key(key: str, *, is_known: bool = True) -> str:
    """A key as TOML writes it; one that nobody knows may be a secret in the wrong place."""
    shortest = _LONG_RUN if is_known else _SHORT_RUN
    if _SCHEME.match(key):
        return quoted(_harmless(key))
    shown = _without_keys(key, shortest) if _WORDS.fullmatch(key) else MASK
    return shown if re.fullmatch(r"[A-Za-z0-9_-]+|\*\*\*", shown) else quoted(shown)


def quoted(value: str) -> str:
    """In quotes, on one line, with nothing in it that a terminal would obey."""
    return json.dumps(value, ensure_ascii=not value.isprintable()).replace("\x7f", "\\u007f")


def type_of(value: object) -> str:
    return next((words for kind, words in _TYPES.items() if isinstance(value, kind)), "a date or time")


def _number(value: float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # Python refuses to write out the largest.
    return "a huge number" if isinstance(value, int) and value.bit_length() > 256 else str(value)


def _quoted_short(text: str) -> str:
    return quoted(text[:_LONGEST_SHOWN])


def _harmless(text: str) -> str:
    if _SCHEME.match(text):
        return _harmless_url(text)
    if _ADDRESS.fullmatch(text):
        return text
    if not _WORDS.fullmatch(text) or _is_key(text):
        return MASK
    return _without_keys(text, _SHORT_RUN)


def _harmless_url(text: str) -> str:
    scheme = _SCHEME.match(text)
    if scheme is None:
        masked = _masked_url(f"x://{text}")
        return masked if _HOST_ALONE.fullmatch(masked) else MASK
    return MASK if looks_like_key(scheme[0].removesuffix("://")) else f"{scheme[0]}{_masked_url(text)}"


def _masked_url(text: str) -> str:
    """What follows the scheme, without its secrets; of a URL that is none, nothing."""
    masked = mask_url(text).partition("://")[2]
    parts = _MASKED_URL.fullmatch(masked)
    if parts is None:
        return MASK
    # A login whose `:` and `@` were lost is of the host's name now.
    host, query = (_RUN.sub(_unless_mixed, parts[name] or "") for name in ("host", "query"))
    return f"{parts['user'] or ''}{host}{parts['path']}{query}{parts['fragment'] or ''}"


def _is_key(text: str) -> bool:
    """A path is long as well, but of words alone."""
    return bool(_KEY.fullmatch(text)) and looks_like_key(text) and ("/" not in text or _is_mixed(text))


def _without_keys(text: str, shortest: int) -> str:
    return _RUN.sub(lambda run: MASK if _is_secret(run[0], shortest) else run[0], text)


def _is_secret(run: str, shortest: int) -> bool:
    return len(run) >= shortest and (_is_mixed(run) or len(run) >= _LONG_RUN > shortest)


def _unless_mixed(run: re.Match[str]) -> str:
    return MASK if len(run[0]) >= _SHORT_RUN and _is_mixed(run[0]) else run[0]


def _is_mixed(text: str) -> bool:
    return any(char.isdigit() for char in text) and any(char.isalpha() for char in text)
