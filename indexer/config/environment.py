"""`${NAME}` and `${NAME:-default}` in the file's texts, taken from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\}")


@dataclass(frozen=True, slots=True)
class Expansion:
    """A text with its variables filled in; `unset` ones had no default; `is_broken`: a `${` stands alone.

    `written` is the text as it stands in the file, but for defaults, which may be secrets as well.
    """

    text: str
    unset: tuple[str, ...] = ()
    is_broken: bool = False
    is_changed: bool = False
    written: str = ""


class Expanded(str):
    """A text that came, at least in part, from the environment: it may stand where a number is expected.

    What it is must not be shown; `written` is what the file says instead.
    """

    __slots__ = ("written",)
    written: str

    def __new__(cls, text: str, written: str) -> Self:
        made = super().__new__(cls, text)
        made.written = written
        return made

    @property
    def variable(self) -> str:
        """The variable that is all of it; empty where there is more."""
        return self.written if _VARIABLE.fullmatch(self.written) else ""


def expand(text: str, environ: Mapping[str, str]) -> Expansion:
    """Fill in the variables, once: what a variable holds is not read for variables again.

    As in a shell, the default stands for a variable that is unset or empty.
    """
    unset: dict[str, None] = {}
    between = _VARIABLE.split(text)[:: _VARIABLE.groups + 1]
    # What follows a `${` that stands alone may be a part of it: that one is told, and nothing behind it.
    sound = next((place for place, piece in enumerate(between) if "${" in piece), len(between))
    for match, _ in zip(_VARIABLE.finditer(text), range(sound), strict=False):
        if match["default"] is None and match["name"] not in environ:
            unset[match["name"]] = None

    def value(match: re.Match[str]) -> str:
        return environ.get(match["name"], "") or match["default"] or ""

    return Expansion(
        text=_VARIABLE.sub(value, text),
        unset=tuple(unset),
        is_broken=any("${" in piece for piece in between),
        is_changed=len(between) > 1,
        written=_VARIABLE.sub(r"${\g<name>}", text) if len(between) > 1 else "",
    )
