"""Every way to log in to a real nats-server, and no secret in what is said when it fails."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import nkeys
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from nacl.signing import SigningKey
from nats.aio.transport import TcpTransport

from indexer.bus import Login, NatsBus, StreamPlan
from indexer.bus.login import HANDSHAKES
from indexer.domain.telling.subjects import ROOTS
from indexer.errors import BusRefuses, BusUnreachable
from indexer.masking import Secret
from tests.bus.notices import notice
from tests.fixtures.nats import NatsServer

pytestmark = pytest.mark.nats

MakeNats = Callable[..., NatsServer]
PASSWORD = "p@ss/wörd:?#"
ESCAPED = "p%40ss%2Fw%C3%B6rd%3A%3F%23"
USER = f'authorization {{ users: [{{ user: "desk one", password: "{PASSWORD}" }}] }}'
TOKEN = f'authorization {{ token: "{PASSWORD}" }}'


async def can_open(login: Login) -> None:
    bus = NatsBus(login, StreamPlan("indexer", 1, 0, 1))
    try:
        await bus.open(lambda: None)
        bus.check()
    finally:
        await bus.close()


async def started(server: NatsServer) -> NatsServer:
    await server.start()
    return server


def at(server: NatsServer, who: str) -> tuple[str]:
    return (server.url.replace("://", f"://{who}@"),)


async def test_a_user_with_a_password_gets_in_by_keys_or_by_url(make_nats: MakeNats) -> None:
    server = await started(make_nats(USER))
    await can_open(Login((server.url,), user="desk one", password=Secret(PASSWORD)))
    await can_open(Login(at(server, f"desk%20one:{ESCAPED}")))


async def test_a_token_gets_in_by_key_or_by_url(make_nats: MakeNats) -> None:
    server = await started(make_nats(TOKEN))
    await can_open(Login((server.url,), token=Secret(PASSWORD)))
    await can_open(Login(at(server, ESCAPED)))


@pytest.mark.parametrize(
    ("line", "login"),
    [
        (USER, {"user": "desk one", "password": Secret("geheim-99")}),
        (USER, {}),
        (TOKEN, {"token": Secret("geheim-99")}),
        (TOKEN, {"urls": "geheim-99"}),
        (USER, {"urls": "desk%20one:geheim-99"}),
    ],
)
async def test_wrong_credentials_are_a_refusal_that_shows_no_secret(
    make_nats: MakeNats, line: str, login: dict[str, Any]
) -> None:
    server = await started(make_nats(line))
    urls = at(server, login["urls"]) if "urls" in login else (server.url,)
    with pytest.raises(BusRefuses, match=f"127.0.0.1:{server.port} refuses us: .*[Aa]uthorization") as caught:
        await can_open(Login(**{**login, "urls": urls}))
    assert "geheim" not in f"{caught.value!r} {Login(**{**login, 'urls': urls}).shown}"


class Hasty:
    """A server that refuses everybody, and whose reason is lost on the way the first times."""

    def __init__(self, resets: int) -> None:
        self.asked = 0
        self._resets = resets

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"auth_required":true}\r\n')
        await reader.readline()
        if self.asked <= self._resets:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return
        await reader.readline()
        writer.write(b"-ERR 'Authorization Violation'\r\n")
        await writer.drain()
        writer.close()


async def test_nothing_that_a_refusing_server_has_not_read_can_reset_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[bytes] = []
    send: Any = TcpTransport.write

    def write(self: TcpTransport, payload: bytes) -> None:
        written.append(payload)
        send(self, payload)

    monkeypatch.setattr(TcpTransport, "write", write)
    async with await asyncio.start_server(Hasty(0).serve, "127.0.0.1", 0) as server:
        with pytest.raises(BusRefuses):
            await can_open(Login((f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}",), token=Secret("x")))
    assert [words.split(b" ")[0] for words in written] == [b"CONNECT"]
    assert written[0].endswith(b"\r\nPING\r\n")


@pytest.mark.parametrize(
    ("resets", "error", "asked"), [(2, BusRefuses, 3), (9, BusUnreachable, HANDSHAKES)], ids=["in time", "never"]
)
async def test_a_login_that_is_reset_is_tried_again_for_its_reason(resets: int, error: type, asked: int) -> None:
    hasty = Hasty(resets)
    async with await asyncio.start_server(hasty.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(error):
            await can_open(Login((f"nats://127.0.0.1:{port}",), token=Secret("x")))
    assert hasty.asked == asked


async def test_a_user_without_the_right_to_publish_is_told_which(make_nats: MakeNats) -> None:
    server = await started(
        make_nats(
            'authorization { users: [{ user: "u", password: "p", '
            'permissions: { publish: ["$JS.API.>"], subscribe: ["_INBOX.>"] } }] }'
        )
    )
    bus = NatsBus(Login((server.url,), user="u", password=Secret("p")), StreamPlan("indexer", 1, 0, 1))
    await bus.open(lambda: None)
    with pytest.raises(BusRefuses, match=r"does not permit it: .*balance\.ethereum\.acme"):
        await bus.publish([notice(1)])
    await bus.close()


async def test_the_rights_that_the_documentation_names_are_enough(make_nats: MakeNats) -> None:
    publish = [*(f"{root}.>" for root in ROOTS), "$JS.API.STREAM.>"]
    rights = f'permissions: {{ publish: {json.dumps(publish)}, subscribe: ["_INBOX.>"] }}'
    server = await started(make_nats(f'authorization {{ users: [{{ user: "u", password: "p", {rights} }}] }}'))
    bus = NatsBus(Login((server.url,), user="u", password=Secret("p")), StreamPlan("indexer", 1, 0, 1))
    for _ in range(2):
        await bus.open(lambda: None)
        assert await bus.publish([notice(1), notice(2, "streams.chain:1")]) == 2
    await bus.close()


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and certificates of a server and a client that it signed."""
    folder = tmp_path_factory.mktemp("tls")
    authority = ec.generate_private_key(ec.SECP256R1())
    for name in ("ca", "server", "client"):
        key = authority if name == "ca" else ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_called(name))
            .issuer_name(_called("ca"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .sign(authority, hashes.SHA256())
        )
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
        (folder / f"{name}.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def tls_line(folder: Path, more: str = "") -> str:
    return f'tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key", {more} }}'


async def test_a_server_with_tls_is_believed_when_the_named_authority_signed_it(
    make_nats: MakeNats, certificates: Path
) -> None:
    server = await started(make_nats(tls_line(certificates)))
    await can_open(Login((server.url,), ca_file=certificates / "ca.pem"))
    await can_open(Login((server.url.replace("nats:", "tls:"),), ca_file=certificates / "ca.pem"))
    with pytest.raises(BusRefuses, match="certificate verify failed"):
        await can_open(Login((server.url,)))


async def test_a_server_that_wants_our_certificate_gets_it(make_nats: MakeNats, certificates: Path) -> None:
    server = await started(make_nats(tls_line(certificates, f'ca_file: "{certificates}/ca.pem", verify: true')))
    client, key = certificates / "client.pem", certificates / "client.key"
    await can_open(Login((server.url,), ca_file=certificates / "ca.pem", certificate_file=client, key_file=key))
    with pytest.raises((BusRefuses, BusUnreachable)):
        await can_open(Login((server.url,), ca_file=certificates / "ca.pem"))


async def test_where_tls_is_wanted_a_server_without_it_does_not_hear_the_password(make_nats: MakeNats) -> None:
    server = await started(make_nats("debug: true, trace: true", USER))
    with pytest.raises(BusRefuses, match="offers no TLS"):
        await can_open(Login((server.url.replace("nats:", "tls:"),), user="desk one", password=Secret(PASSWORD)))
    assert "CONNECT" not in (server.folder / "nats.log").read_text()


async def test_tls_files_that_cannot_be_used_are_named(make_nats: MakeNats, tmp_path: Path) -> None:
    server = await started(make_nats())
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(BusRefuses, match="TLS files"):
        await can_open(Login((server.url,), ca_file=tmp_path / "ca.pem"))


# --- JWT -------------------------------------------------------------------------------------------------------------


class Key:
    """An nkey: what it signs with, and how it is called."""

    def __init__(self, prefix: int) -> None:
        raw = nkeys.encode_seed(bytes(SigningKey.generate()), prefix)
        self.seed = raw.decode()
        pair = nkeys.from_seed(bytearray(raw))
        self.public = pair.public_key.decode()
        self.sign = pair.sign

    def token(self, subject: str, kind: str, claims: dict[str, Any]) -> str:
        body: dict[str, Any] = {"iat": int(time.time()), "iss": self.public, "name": kind, "sub": subject}
        body["nats"] = {**claims, "type": kind, "version": 2}
        body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")
        parts = ".".join(_packed(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, body))
        return f"{parts}.{_packed(self.sign(parts.encode()))}"


def _packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


async def test_a_credentials_file_gets_in_and_one_that_is_none_is_named(make_nats: MakeNats, tmp_path: Path) -> None:
    operator, account, user = (
        Key(nkeys.PREFIX_BYTE_OPERATOR),
        Key(nkeys.PREFIX_BYTE_ACCOUNT),
        Key(nkeys.PREFIX_BYTE_USER),
    )
    system = Key(nkeys.PREFIX_BYTE_ACCOUNT)
    unlimited = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
    storage = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    limits = {**unlimited, **storage, "wildcards": True}
    account_token = operator.token(account.public, "account", {"limits": limits})
    system_token = operator.token(system.public, "account", {"limits": {**unlimited, "wildcards": True}})
    user_token = account.token(user.public, "user", {"subs": -1, "data": -1, "payload": -1})
    server = await started(
        make_nats(
            f"operator: {operator.token(operator.public, 'operator', {})}",
            "resolver: MEMORY",
            f"system_account: {system.public}",
            f"resolver_preload: {{ {account.public}: {account_token}, {system.public}: {system_token} }}",
        )
    )
    creds = tmp_path / "desk.creds"
    creds.write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    )
    await can_open(Login((server.url,), credentials_file=creds))
    whole = creds.read_text()
    for content, told in (
        ("-----BEGIN NATS USER JWT-----\nx\n", "holds no JWT, or no seed"),
        (whole.replace(user.seed, user.seed[:-9]), "the seed in .* is none"),
        (whole.replace(user.seed, system.seed), "refuses us|is none"),
        (None, "cannot be used"),
    ):
        creds.unlink() if content is None else creds.write_text(content)
        with pytest.raises(BusRefuses, match=told) as caught:
            await can_open(Login((server.url,), credentials_file=creds))
        assert user.seed[:-9] not in repr(caught.value)
