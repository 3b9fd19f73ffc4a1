"""How an endpoint is called in logs and metrics: API keys sit in URLs, so most of a URL is never shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit


def endpoint_names(urls: Sequence[str]) -> list[str]:
    """One name per URL, no two alike: host, port, and whether there was more."""
    names: list[str] = []
    for url in urls:
        name = endpoint_name(url)
        twins = sum(other.split("#")[0] == name for other in names)
        names.append(f"{name}#{twins + 1}" if twins else name)
    return names


def endpoint_name(url: str) -> str:
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    more = "/***" if parts.path.strip("/") or parts.query else ""
    host = parts.hostname or "?"
    return f"{f'[{host}]' if ':' in host else host}{port}{more}"


def without_secrets(text: str, url: str) -> str:
    """A provider's own words, in which it may have repeated our key, or told where it, or somebody, lives."""
    parts = urlsplit(url)
    secrets = [*re.split(r"[/&=?]", f"{parts.path}?{parts.query}"), parts.username or "", parts.password or ""]
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 8:
            text = text.replace(secret, "***")
    return _TELLING.sub(_hidden, text)


_TELLING: Final = re.compile(
    r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>]+"  # a URL
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"  # a machine
    r"|\b0x[0-9a-f]{40}\b"  # an account
    r"|\b(?=[a-z_-]*\d)(?=[\d_-]*[a-z])(?!0x)[\w-]{24,}\b",  # what may be a key
    re.IGNORECASE,
)


def _hidden(match: re.Match[str]) -> str:
    scheme, found, _ = match[0].partition("://")
    return f"{scheme}://***" if found else "***"
