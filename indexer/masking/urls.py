"""What of a URL nobody is to see, by how it looks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from indexer.masking.secret import MASK

# Credentials may hold any of `/?#@`: they end at the last @ before a blank or quote. Better too much than too little.
_URL = re.compile(
    r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)"
    r"(?P<user>[^\s\"'<>]*@)?"
    r"(?P<host>[^/?#\s\"'<>]*)"
    r"(?P<path>[^?#\s\"'<>]*)"
    r"(?P<query>\?[^#\s\"'<>]*)?"
    r"(?P<fragment>#[^\s\"'<>]*)?"
)
# A text that is one URL as a whole: whatever it holds is of it, blanks and quotes included.
_WHOLE = re.compile(
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<user>.*@)?(?P<host>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.DOTALL,
)
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\s+[^\s\"',}]+", re.IGNORECASE)
# What stands where a port would, and is none: a password whose `@` was forgotten.
_NO_PORT = re.compile(r":(?=[^,:\[\]]*[A-Za-z])[^,:\[\]]*(?=,|$)")
_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{40}")


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
    whole = _WHOLE.fullmatch(url)
    return _masked(whole) if whole else _URL.sub(_masked, url)


def mask_text(text: str) -> str:
    """The text with every URL masked, and whatever follows `Bearer` or `Basic`."""
    if "://" in text:
        text = _URL.sub(_masked, text)
    return _AUTHORIZATION.sub(rf"\1 {MASK}", text)


def url_secrets(url: str) -> Iterator[str]:
    """The parts of a URL that `mask_url` hides, to be recognized where they turn up alone."""
    whole = _WHOLE.fullmatch(url)
    for match in (whole,) if whole else _URL.finditer(url):
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
