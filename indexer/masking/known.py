"""Finds the secrets that are known, in whatever writing they stand in a text."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote, quote_plus

from indexer.masking.secret import MASK
from indexer.masking.urls import mask_text

SHORTEST_KNOWN: Final = 4
"""A shorter secret is in every other word; masking it would only make the log unreadable."""

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
