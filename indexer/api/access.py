"""Who may call what: API keys with scopes, and without keys no foreign web page."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from indexer.api.problems import BadRequest
from indexer.api.routes import Route, Scope

_REACH: Final[Mapping[Scope, frozenset[Scope]]] = {
    "read": frozenset({"read"}),
    "write": frozenset({"read", "write"}),
    "admin": frozenset({"read", "write", "admin"}),
}
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_WEBSOCKET: Final = "/ws"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key and what it is good for: `read`, `write` (reads, too) or `admin` (everything)."""

    name: str
    key: str = field(repr=False)
    scopes: frozenset[Scope]


class Access:
    """Decides over every request before its handler sees it."""

    def __init__(self, *, keys: Sequence[ApiKey], local_only: bool) -> None:
        self._keys = keys
        self._local_only = local_only

    def change(self, *, keys: Sequence[ApiKey], local_only: bool) -> None:
        """From the next request on."""
        self._keys, self._local_only = keys, local_only

    def still_admits(self, request: web.Request) -> bool:
        """Whether who was let in to listen may still: its key may have been taken away since."""
        try:
            if self._keys:
                self._refuse_without_key(request, "read")
        except BadRequest:
            return False
        return True

    def check(self, request: web.Request, route: Route | None) -> None:
        if self._keys:
            if route is None or route.scope is not None:
                self._refuse_without_key(request, None if route is None else route.scope)
            return
        if self._local_only:
            _refuse_foreign_host(request)
        if request.method not in _SAFE or request.path == _WEBSOCKET:
            _refuse_foreign_page(request)

    def _refuse_without_key(self, request: web.Request, scope: Scope | None) -> None:
        sent = _sent_key(request)
        key = None if sent is None else self._known(sent)
        if key is None:
            detail = "Send an API key: `Authorization: Bearer KEY`." if sent is None else "This API key is not known."
            raise BadRequest(401, detail, headers={"WWW-Authenticate": "Bearer"})
        if scope is not None and not any(scope in _REACH[own] for own in key.scopes):
            raise BadRequest(403, f"The key {key.name!r} does not have the scope `{scope}` that this needs.")

    def _known(self, sent: str) -> ApiKey | None:
        """Every key is compared, each in constant time, so that the time taken tells nothing.

        Bytes of a header that are no text arrive as surrogates, which cannot be compared and are no key.
        """
        if not sent.isprintable():
            return None
        found = [key for key in self._keys if hmac.compare_digest(key.key.encode(), sent.encode())]
        return found[0] if found else None


def _sent_key(request: web.Request) -> str | None:
    kind, _, key = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and key.strip():
        return key.strip()
    if header := request.headers.get("X-API-Key"):
        return header
    # A browser cannot set headers on a websocket.
    return request.query.get("api_key") if request.path == _WEBSOCKET else None


def _refuse_foreign_page(request: web.Request) -> None:
    """A browser names the page that asks; any page in it could reach a service on this machine."""
    origin = request.headers.get("Origin")
    if origin is not None and _netloc(origin) != request.headers.get("Host", "").lower():
        raise BadRequest(403, "Web pages from elsewhere may not change anything here, nor listen; use an API key.")


def _refuse_foreign_host(request: web.Request) -> None:
    """A foreign name that leads to this machine is DNS rebinding: a page elsewhere that poses as ours."""
    host = request.headers.get("Host")
    if host is not None and not _is_local(host):
        raise BadRequest(403, "This service answers on this machine only, as localhost or by its loopback address.")


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _is_local(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
