"""The address that the service answers at, and who may ask there."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from indexer.api.access import ApiKey
from indexer.api.app import ACCESS
from indexer.api.hub import Hub
from indexer.api.server import ApiRunner
from indexer.config import ServiceSettings
from indexer.config.values import is_loopback
from indexer.errors import Permanent


class CannotListen(Permanent):
    """The address is taken, or not ours."""


class Site:
    """The application at a socket, and the clients of its websocket: they say goodbye before the server waits for them.

    `host` is where it listens, whatever a newer configuration says.
    """

    def __init__(self, app: web.Application, *, hub: Hub, host: str, room: Callable[[], int]) -> None:
        self._hub = hub
        self._host = host
        self._access = app[ACCESS]
        app.on_shutdown.append(self._dismiss_subscribers)
        self._runner = ApiRunner(app, access_log=None, shutdown_timeout=2.0, room=room)

    async def open(self, listener: socket.socket) -> str:
        """Answer at this socket; its URL."""
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()
        host, port = listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def close(self) -> None:
        await self._runner.cleanup()

    def admit(self, service: ServiceSettings) -> None:
        """Other API keys, from the next request on, and for who listens already.

        Another host waits for a restart; so does taking the last key away, where only that host needs none.
        """
        service = replace(service, host=self._host)
        if not would_be_open(service):
            self._access.change(keys=keys_of(service), local_only=is_local_only(service))
            self._hub.dismiss(unless=self._access.still_admits)

    async def _dismiss_subscribers(self, _app: web.Application) -> None:
        await self._hub.close()


def keys_of(service: ServiceSettings) -> list[ApiKey]:
    return [ApiKey(key.name, key.key.reveal(), frozenset(key.scopes)) for key in service.api_keys]


def is_local_only(service: ServiceSettings) -> bool:
    """Whatever else is said there: a page that poses as ours (DNS rebinding) is a stranger to the operator, too."""
    return is_loopback(service.host) and not service.api_keys


def would_be_open(service: ServiceSettings) -> bool:
    """To other machines, though nobody said so."""
    return not (is_loopback(service.host) or service.api_keys or service.allow_anonymous)


def listen(host: str, port: int) -> socket.socket:
    """Take the address before anything else is started, so that a taken one costs nothing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror}; {_cure(error)}") from error
    listener.setblocking(False)
    return listener


def _cure(error: OSError) -> str:
    """By whose fault: that of the host's name, of its address, or of the port."""
    if isinstance(error, socket.gaierror):
        return "set service.host to an address of this machine: nobody knows that name"
    if error.errno == errno.EADDRNOTAVAIL:
        return "set service.host to an address of this machine"
    if error.errno == errno.EACCES:
        return "set a port from 1024 on as service.port, or let this user open that one"
    return "free the port, or set another one as service.port"
