"""Keeps secrets out of whatever is shown: logs, problems, answers of the API."""

from __future__ import annotations

import hmac
import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple
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
# A text that is one URL as a whole: whatever it holds is of it, blanks and quotes included.
_WHOLE = re.compile(
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<user>.*@)?(?P<host>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.DOTALL,
)
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\s+[^\s\"',}]+", re.IGNORECASE)
# What stands where a port would, and is none: a password whose `@` was forgotten.
_NO_PORT = re.compile(r":(?=[^,:\[\]]*[A-Za-z])[^,:\[\]]*(?=,|$)")
_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{40}")
SHORTEST_KNOWN: Final = 4
"""A shorter secret is in every other word; masking it would only make the log unreadable."""
SHORTEST_MASTER_KEY: Final = 16

_SHORT_WORD: Final = 8
_BASE64: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")

_LAYERS: Final = 3
"""Escapes within escapes: JSON as a text of JSON, in a URL. Nobody goes further."""

_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_ESCAPED: Final = re.compile(
    r"\\u(?P<json>[0-9a-f]{4})|\\(?P<plain>[\\/\"'])|%(?P<url>[2-7][0-9a-f])"
    r"|&#x0*(?P<hexadecimal>[0-9a-f]{1,4});|&#0*(?P<decimal>[0-9]{1,5});|&(?P<named>amp|lt|gt|quot|apos);",
    re.IGNORECASE,
)
"""One character each; those of more than one byte in a URL are looked for as a whole."""


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


def forms_of(secret: str) -> frozenset[str]:
    """As it is, and as others write it who repeat it: in a URL, in JSON, in HTML, in base64, in hexadecimal."""
    if not secret:
        return frozenset()
    bare = secret.strip()
    quoted = {form for safe in ("", "/") for form in (quote(bare, safe=safe), quote_plus(bare, safe=safe))}
    lower = {re.sub("%..", lambda code: code[0].lower(), form) for form in quoted}
    escaped = {json.dumps(bare)[1:-1], json.dumps(bare, ensure_ascii=False)[1:-1]}
    slashed = {form.replace("/", "\\/") for form in escaped}
    return frozenset({secret, bare, html.escape(bare), bare.encode().hex(), *quoted, *lower, *escaped, *slashed})


def packed_forms_of(secret: str) -> frozenset[str]:
    """What of it stands in any base64 that holds it: three places in a group of three bytes, less what others share."""
    bare, found = secret.strip().encode(), set[str]()
    for pack in (b64encode, urlsafe_b64encode):
        for before, shared in enumerate((0, 2, 3)):
            whole = pack(bytes(before) + bare).decode().rstrip("=")
            after = (before + len(bare)) % 3
            found.add(whole[shared : len(whole) - (1 if after else 0)])
            if not before:
                found.add(whole)
    return frozenset(found)


class _Form(NamedTuple):
    """One writing of a secret, as it is looked for."""

    text: str
    in_any_case: bool = False
    is_word: bool = False
    """A short word is none within a longer one: masked there, it would make our own messages unreadable."""
    is_packed: bool = False
    """What stands around it is of the same base64, and may hold the rest."""

    def at(self, start: int, text: str, folded: str) -> tuple[int, int] | None:
        """From where to where it hides something, if it stands there."""
        end = start + len(self.text)
        if not (folded if self.in_any_case else text).startswith(self.text, start):
            return None
        if self.is_word and (text[start - 1 : start].isalpha() or text[end : end + 1].isalpha()):
            return None
        if not self.is_packed:
            return start, end
        while start and text[start - 1] in _BASE64:
            start -= 1
        while end < len(text) and text[end] in _BASE64:
            end += 1
        return start, end


class Masker:
    """Masks URLs, authorizations, and the secrets it was told of, wherever they stand in a text.

    In whatever case, for those that are not short; also within base64, and where characters are written as escapes of
    JSON, URLs or HTML, one within the other. How long it takes does not depend on how many secrets there are.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._forms: dict[str, set[_Form]] = {}
        """By what they are in lower case."""
        self._lengths: dict[str, list[int]] = {}
        """By how they begin, in lower case: how long those are, the longest first."""
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Hide these too; what was known stays known, since an old key may still turn up."""
        for secret in secrets:
            if secret not in self._secrets:
                self._secrets.add(secret)
                for form in _looked_for(secret):
                    self._look_for(form)

    def _look_for(self, form: _Form) -> None:
        folded = _folded(form.text)
        self._forms.setdefault(folded, set()).add(form)
        lengths = self._lengths.setdefault(folded[:SHORTEST_KNOWN], [])
        if len(folded) not in lengths:
            lengths.append(len(folded))
            lengths.sort(reverse=True)

    def __call__(self, text: str) -> str:
        return mask_text(self.hidden(text))

    def hidden(self, text: str) -> str:
        """Without the secrets, and URLs as they are."""
        spans = sorted(self._spans(text)) if self._forms else []
        parts, done = [], 0
        for start, end in spans:
            if start >= done:
                parts += [text[done:start], MASK]
            done = max(done, end)
        return "".join((*parts, text[done:]))

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        yield from self._found(text)
        origin: Sequence[int] = range(len(text) + 1)
        for _ in range(_LAYERS):
            if not _ESCAPED.search(text):
                return
            text, starts = _unescaped(text)
            origin = [origin[start] for start in starts]
            yield from ((origin[start], origin[end]) for start, end in self._found(text))

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        folded, done = _folded(text), 0
        begins = [
            at for at in range(len(folded) - SHORTEST_KNOWN + 1) if folded[at : at + SHORTEST_KNOWN] in self._lengths
        ]
        for start in begins:
            if start < done:
                continue
            span = next((found for form in self._at(start, folded) if (found := form.at(start, text, folded))), None)
            if span is not None:
                yield span
                done = span[1]

    def _at(self, start: int, folded: str) -> Iterator[_Form]:
        """What may stand there, the longest first."""
        for length in self._lengths[folded[start : start + SHORTEST_KNOWN]]:
            yield from self._forms.get(folded[start : start + length], ())


def _looked_for(secret: str) -> Iterator[_Form]:
    if "\n" in secret.strip():  # a key in PEM: each of its lines, too
        for line in secret.splitlines():
            if not line.startswith("-----"):
                yield from _looked_for(line)
    for text in forms_of(secret):
        if len(text) >= _SHORT_WORD:
            yield _Form(_folded(text), in_any_case=True)
        elif len(text) >= SHORTEST_KNOWN:
            yield _Form(text, is_word=text.isalpha())
    for text in packed_forms_of(secret):
        if len(text) >= _SHORT_WORD:
            yield _Form(text, is_packed=True)


def _folded(text: str) -> str:
    """In lower case, each character in its place: few have more than one there."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(each if len(each.lower()) != 1 else each.lower() for each in text)


def _unescaped(text: str) -> tuple[str, list[int]]:
    """One layer of escapes less, and where each character was."""
    parts, starts, done = [], list[int](), 0
    for match in _ESCAPED.finditer(text):
        parts += [text[done : match.start()], _meant(match)]
        starts += [*range(done, match.start()), match.start()]
        done = match.end()
    return "".join((*parts, text[done:])), [*starts, *range(done, len(text) + 1)]


def _meant(match: re.Match[str]) -> str:
    code = next((match[name] for name in ("json", "url", "hexadecimal") if match[name]), None)
    if code is not None:
        return chr(int(code, 16))
    return match["plain"] or (chr(int(match["decimal"])) if match["decimal"] else _NAMED[match["named"].lower()])


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
