"""Keeps secrets out of whatever is shown: logs, problems, answers of the API."""

from __future__ import annotations

import hmac
import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "***"

# Credentials may hold any of `/?#@`: they end at the last @ before a blank or quote. Better too much than too little.
_URL = re.compile(
    r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)"
    r"(?P<user>[^\s\"'<>]*@)?"
    r"(?P<host>[^/?#\s\"'<>]*)"
    r"(?P<path>[^?#\s\"'<>]*)"
    r"(?P<query>\?[^#\s\"'<>]*)?"
    r"(?P<fragment>#[^\s\"'<>]*)?"
)
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\s+[^\s\"',}]+", re.IGNORECASE)
# What stands where a port would, and is none: a password whose `@` was forgotten.
_NO_PORT = re.compile(r":(?=[^,:\[\]]*[A-Za-z])[^,:\[\]]*(?=,|$)")
_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{40}")
SHORTEST_KNOWN: Final = 4
"""A shorter secret is in every other word; masking it would only make the log unreadable."""
SHORTEST_MASTER_KEY: Final = 16

_SHORT_WORD: Final = 8
_LETTER: Final = r"[^\W\d_]"


class Secret:
    """A value that shows itself to nobody who does not ask for it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def matches(self, other: str) -> bool:
        """Whether they are equal, in a time that tells nothing about where they differ."""
        return hmac.compare_digest(self._value.encode(), other.encode())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK


class Url(str):
    """A URL that is used as it is, but represents itself masked."""

    __slots__ = ()

    @property
    def masked(self) -> str:
        return mask_url(self)

    def __repr__(self) -> str:
        return repr(mask_url(self))


def mask_url(url: str) -> str:
    """The URL without user, password, query values, and whatever in its path looks like a key."""
    return _URL.sub(_masked, url)


def mask_text(text: str) -> str:
    """The text with every URL masked, and whatever follows `Bearer` or `Basic`."""
    if "://" in text:
        text = _URL.sub(_masked, text)
    return _AUTHORIZATION.sub(rf"\1 {MASK}", text)


def url_secrets(url: str) -> Iterator[str]:
    """The parts of a URL that `mask_url` hides, to be recognized where they turn up alone."""
    for match in _URL.finditer(url):
        _, _, password = (match["user"] or "").removesuffix("@").partition(":")
        yield password
        yield from (wrong[0][1:] for wrong in _NO_PORT.finditer(match["host"]))
        yield from (part for part in match["path"].split("/") if looks_like_key(part))
        yield from (pair.partition("=")[2] for pair in (match["query"] or "")[1:].split("&"))


def looks_like_key(text: str) -> bool:
    """Long, or of digits and letters mixed; an address is none."""
    if _ADDRESS.fullmatch(text):
        return False
    is_mixed = any(char.isdigit() for char in text) and any(char.isalpha() for char in text)
    return len(text) >= 16 or (len(text) >= 8 and is_mixed)


def forms_of(secret: str) -> frozenset[str]:
    """As it is, and as others write it who repeat it: in a URL, in JSON, in HTML, in base64."""
    if not secret:
        return frozenset()
    bare = secret.strip()
    quoted = {form for safe in ("", "/") for form in (quote(bare, safe=safe), quote_plus(bare, safe=safe))}
    lower = {re.sub("%..", lambda code: code[0].lower(), form) for form in quoted}
    escaped = {json.dumps(bare)[1:-1], json.dumps(bare, ensure_ascii=False)[1:-1]}
    slashed = {form.replace("/", "\\/") for form in escaped}
    packed = {pack(bare.encode()).decode().rstrip("=") for pack in (b64encode, urlsafe_b64encode)}
    return frozenset({secret, bare, html.escape(bare), *quoted, *lower, *escaped, *slashed, *packed})


class Masker:
    """Masks URLs, authorizations, and the secrets it was told of, wherever they stand in a text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Hide these too; what was known stays known, since an old key may still turn up."""
        forms = {form for secret in secrets for form in forms_of(secret)}
        known = self._known | {form for form in forms if len(form) >= SHORTEST_KNOWN}
        if known == self._known:
            return  # 200 accounts come one after the other, and a pattern of all their keys takes milliseconds
        self._known = known
        longest_first = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_wherever, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        return mask_text(self._pattern.sub(MASK, text) if self._pattern else text)


def _wherever(form: str) -> str:
    """A short word is none within a longer one: masked there, it would make our own messages unreadable."""
    pattern = re.escape(form)
    return rf"(?<!{_LETTER}){pattern}(?!{_LETTER})" if len(form) < _SHORT_WORD and form.isalpha() else pattern


def _masked(match: re.Match[str]) -> str:
    path = "/".join(MASK if looks_like_key(part) else part for part in match["path"].split("/"))
    query = "&".join(_masked_pair(pair) for pair in (match["query"] or "")[1:].split("&"))
    return "".join(
        (
            match["scheme"],
            f"{MASK}@" if match["user"] else "",
            _NO_PORT.sub(f":{MASK}", match["host"]),
            path,
            f"?{query}" if match["query"] else "",
            f"#{MASK}" if match["fragment"] else "",
        )
    )


def _masked_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={MASK}" if equals else MASK
