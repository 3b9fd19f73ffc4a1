"""`store.url`: a word, or how to get to a MongoDB."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from indexer.config.showing import show, show_url
from indexer.config.values import Reader, WrongValue, did_you_mean, string
from indexer.masking import Url

Judge = Callable[[str], str | None]
"""What is wrong with a MongoDB URL that looks like one, in words without a secret."""

_WORDS: Final = ("embedded", "memory")
_HINT: Final = 'write "embedded", "memory", or a URL that begins with mongodb:// or mongodb+srv://'


def store_url(wrong_with: Judge) -> Reader[str]:
    def read(value: object) -> str:
        shown = show_url(value)
        given = string(value, _HINT, shown)
        if given in _WORDS:
            return str(given)
        # Several hosts may stand in one of these: urlsplit would take the second for a port.
        if hint := _unlike_mongodb(given):
            near = None if "://" in given else did_you_mean(given, _WORDS)
            raise WrongValue("is no store", near or hint, show(value) if near else shown)
        if wrong := wrong_with(given):
            raise WrongValue(f"can't be used: {wrong}", "see MongoDB's manual: Connection String Options", shown)
        return Url(given)

    return read


def _unlike_mongodb(given: str) -> str | None:
    """What to write instead, as far as it can be told without asking for names: a host, or several, with ports."""
    scheme = re.match(r"mongodb(\+srv)?://", given)
    if scheme is None:
        return _HINT
    listed = given[scheme.end() :].partition("?")[0].rpartition("@")[2].partition("/")[0].split(",")
    hosts = [re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:]+)(:.*)?", host) for host in listed]
    if re.search(r"\s", given) or None in hosts:
        return f"write its host, as in {scheme[0]}{'one.example' if scheme[1] else '127.0.0.1:27017'}"
    ports = [host[2] for host in hosts if host is not None and host[2] is not None]
    if scheme[1]:
        if len(hosts) > 1:
            return "write one host: mongodb+srv:// has the name server tell the others"
        return "leave the port out: mongodb+srv:// has the name server tell it" if ports else None
    are_ports = all(re.fullmatch(r":[0-9]{1,5}", port) and 0 < int(port[1:]) < 65_536 for port in ports)
    return None if are_ports else "a port is a number from 1 to 65535"
