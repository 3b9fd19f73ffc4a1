"""`[nats]`: where events are published, and how to log in there."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import cast

from indexer.config.paths import file_in
from indexer.config.settings import NatsSettings, NatsStart
from indexer.config.table import Table
from indexer.config.values import from_environment, integer, one_of, or_empty, or_none, secret, text, urls


def nats(table: Table, folder: Path) -> NatsSettings:
    file, known = file_in(folder), NatsSettings()
    stream = text("write a stream's name: up to 64 letters, digits, _ and -", pattern=r"[A-Za-z0-9_-]+", longest=64)
    settings = NatsSettings(
        url=table.optional("url", or_empty(urls("nats", "tls", "ws", "wss")), known.url),
        user=table.optional("user", or_empty(text("write the user's name")), known.user),
        password=table.optional("password", or_none(secret(from_environment("NATS_PASSWORD"))), known.password),
        token=table.optional("token", or_none(secret(from_environment("NATS_TOKEN"))), known.token),
        credentials_file=table.optional("credentials_file", file, known.credentials_file),
        tls_ca_file=table.optional("tls_ca_file", file, known.tls_ca_file),
        tls_certificate_file=table.optional("tls_certificate_file", file, known.tls_certificate_file),
        tls_key_file=table.optional("tls_key_file", file, known.tls_key_file),
        stream=table.optional("stream", stream, known.stream),
        stream_days=table.optional("stream_days", integer(0, 36_500), known.stream_days),
        stream_megabytes=table.optional("stream_megabytes", integer(0, 2**40), known.stream_megabytes),
        stream_replicas=table.optional("stream_replicas", integer(1, 5), known.stream_replicas),
        start=table.optional("start", _nats_start, known.start),
    )
    _check_nats(settings, table)
    _check_pair(settings, table)
    table.close()
    return settings


def _check_nats(settings: NatsSettings, table: Table) -> None:
    ways = [key for key in ("user", "token", "credentials_file") if getattr(settings, key)]
    ways += ["url"] * any("@" in url for url in settings.urls)
    if len(ways) > 1:
        table.wrong(ways[-1], f"there is another way to log in: {ways[0]}", "keep one of the two")
    for one, other in (("user", "password"), ("tls_certificate_file", "tls_key_file")):
        if table.has(one) != table.has(other):
            missing, there = (one, other) if table.has(other) else (other, one)
            table.wrong(missing, f"is missing, and {there} is there", "set both, or none")


def _check_pair(settings: NatsSettings, table: Table) -> None:
    certificate, key = settings.tls_certificate_file, settings.tls_key_file
    if certificate is None or key is None:
        return
    try:
        # Nobody is there to be asked for a password, for which OpenSSL would wait.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = (getattr(error, "reason", None) or getattr(error, "strerror", None) or "it cannot be read").lower()
        told = f"can't be used with tls_certificate_file: {reason.replace('_', ' ')}"
        table.wrong("tls_key_file", told, "name a certificate and its own key, both in PEM, the key without a password")


def _nats_start(value: object) -> NatsStart:
    return cast("NatsStart", one_of(NatsStart)(value))
