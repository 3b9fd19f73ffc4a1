"""Where NATS is and how we get in: one connection to one of its servers, without nats-py's own reconnecting."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from nats.aio.client import Client, RawCredentials
from nats.errors import Error as NatsError

from indexer.errors import BusRefuses, BusUnreachable
from indexer.masking import Secret, mask_text

CONNECT_SECONDS: Final = 4
CLOSE_SECONDS: Final = 1.0
PING_SECONDS: Final = 5
"""A server that answers no ping is found after two of these, also while there is nothing to publish."""

HANDSHAKES: Final = 3
"""The reason of a refusal may still be lost with a connection that is reset: such a login is tried again for it."""

_NOT_SO: Final = ("authorization", "authentication", "user authentication", "expired", "revoked", "certificate")
"""Words in refusals that no retry cures."""


@dataclass(frozen=True, slots=True)
class Login:
    """`urls` in order of preference; what stands in a URL may be percent-encoded."""

    urls: tuple[str, ...]
    user: str = ""
    password: Secret = Secret("")  # noqa: RUF009 - it is immutable
    token: Secret = Secret("")  # noqa: RUF009 - it is immutable
    credentials_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    @property
    def shown(self) -> str:
        """Hosts and ports, and nothing else."""
        return ", ".join(map(_host, self.urls))

    @property
    def wants_tls(self) -> bool:
        return bool(self.ca_file or self.certificate_file) or any(
            url.startswith(("tls://", "wss://")) for url in self.urls
        )


class _Client(Client):
    """Refuses to say who we are to a server that offers no TLS where TLS is wanted: it may not be ours.

    What it says of itself goes out together with the ping behind it. A server that refuses us hangs up at once, and a
    ping that it has not read by then makes the kernel reset the connection, with the reason.
    """

    wants_tls = False

    def _connect_command(self) -> bytes:
        transport: Any = self._transport
        send = transport.write

        def hold(who_we_are: bytes) -> None:
            def send_both(ping: bytes) -> None:
                transport.write = send
                send(who_we_are + ping)

            transport.write = send_both

        transport.write = hold
        return super()._connect_command()

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if self.wants_tls and initial_connection and not info.get("tls_required") and not self._is_websocket():
            raise BusRefuses("the server offers no TLS, and the configuration wants it")
        await super()._process_info(info, initial_connection)

    def _is_websocket(self) -> bool:
        return self._current_server is not None and self._current_server.uri.scheme == "wss"


async def connect(login: Login, *, troubled: Callable[[Exception], None], closed: Callable[[], None]) -> Client:
    """The first server that lets us in. `troubled` hears what the server complains about later, `closed` of the end."""
    problems: list[BusUnreachable | BusRefuses] = []
    for url in login.urls:
        try:
            return await _shake_hands(url, login, troubled, closed)
        except (BusUnreachable, BusRefuses) as error:
            problems.append(error)
    refusal = next((problem for problem in problems if isinstance(problem, BusRefuses)), problems[0])
    raise refusal if len(problems) == 1 else type(refusal)("; ".join(map(str, problems)))


async def leave(client: Client) -> None:
    """Close it, without waiting for a peer that does not listen."""
    with suppress(NatsError, OSError, TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()


async def _shake_hands(
    url: str, login: Login, troubled: Callable[[Exception], None], closed: Callable[[], None]
) -> Client:
    for _ in range(HANDSHAKES - 1):
        try:
            return await _connect_to(url, login, troubled, closed)
        except _Reset:
            continue
    return await _connect_to(url, login, troubled, closed)


class _Reset(BusUnreachable):
    """The connection was there, and was reset while we logged in."""


async def _connect_to(
    url: str, login: Login, troubled: Callable[[Exception], None], closed: Callable[[], None]
) -> Client:
    options = _options(url, login)
    client = _Client()
    client.wants_tls = login.wants_tls
    heard: deque[Exception] = deque(maxlen=1)  # a server may complain for as long as the connection lives

    async def complain(error: Exception) -> None:
        heard.append(error)
        troubled(error)

    async def end() -> None:
        closed()

    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await client.connect(
                **options,
                error_cb=complain,
                closed_cb=end,
                disconnected_cb=end,
                name="solver-balance-indexer",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_SECONDS,
                ping_interval=PING_SECONDS,
                max_outstanding_pings=1,
            )
    except BusRefuses as error:
        await leave(client)
        raise BusRefuses(f"{_host(url)}: {error}") from None
    except (NatsError, OSError, TimeoutError) as error:
        await leave(client)
        # What the client heard on the way says more than the "no servers available" that it ends with.
        raise _translated(url, heard[-1] if heard else error) from None
    except Exception as error:
        await leave(client)
        if login.credentials_file is None:
            raise
        # The boundary to nkeys: a seed that is none ends in whatever its decoding stumbles over. It is not shown.
        raise BusRefuses(f"the seed in {login.credentials_file} is none: {type(error).__name__}") from None
    return client


def _options(url: str, login: Login) -> dict[str, Any]:
    parts = urlsplit(url)
    bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    options: dict[str, Any] = {"servers": [bare], "user": None, "password": None, "token": None}
    if login.credentials_file is not None:
        options["user_credentials"] = _credentials(login.credentials_file)
    elif login.token:
        options["token"] = login.token.reveal()
    elif login.user:
        options |= {"user": login.user, "password": login.password.reveal()}
    elif parts.password is not None:
        options |= {"user": unquote(parts.username or ""), "password": unquote(parts.password)}
    elif parts.username:
        options["token"] = unquote(parts.username)
    if login.wants_tls:
        options["tls"] = _tls(login)
    return options


def _credentials(path: Path) -> RawCredentials:
    """The file's text; nats-py would search one without these lines for ever."""
    try:
        content = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BusRefuses(f"the credentials file cannot be used: {error}") from None
    if not all(f"BEGIN {what}" in content for what in ("NATS USER JWT", "USER NKEY SEED")):
        raise BusRefuses(f"the credentials file {path} holds no JWT, or no seed")
    return RawCredentials(content)


def _tls(login: Login) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=login.ca_file)
        if login.certificate_file is not None:
            context.load_cert_chain(login.certificate_file, login.key_file)
    except OSError as error:  # ssl.SSLError is one
        raise BusRefuses(f"the TLS files cannot be used: {error}") from error
    return context


def _translated(url: str, error: Exception) -> BusUnreachable | BusRefuses:
    words = mask_text(str(error) or type(error).__name__)
    if isinstance(error, ssl.SSLError) or any(word in words.lower() for word in _NOT_SO):
        return BusRefuses(f"{_host(url)} refuses us: {words}")
    kind = _Reset if isinstance(error, ConnectionResetError | BrokenPipeError) else BusUnreachable
    return kind(f"{_host(url)} does not answer: {words}")


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
