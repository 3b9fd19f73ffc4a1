"""What bounds the websocket, in one value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Those that docs/api.md names, and those that keep a client from eating the memory of all."""

    waiting_events: int = 10_000
    heartbeat_seconds: float = 5.0
    stall_seconds: float = 30.0
    """Without a byte taken by a socket that has bytes to take."""
    silence_seconds: float = 60.0
    """Without a frame or a pong from the client, although it was pinged: its machine is gone."""
    goodbye_seconds: float = 30.0
    """For a client that was told to go to read why; then the socket is cut."""
    shutdown_seconds: float = 2.0
    connections: int = 2_000
    subscriptions: int = 100
    """Per connection."""
    filters: int = 1_000
    """Per subscription."""
    connection_filters: int = 10_000
    """Per connection, over its subscriptions."""
    frame_bytes: int = 64 * 1024
    """A larger one is answered with an error."""
    refused_frame_bytes: int = 1024 * 1024
    """A frame larger than that is not even read: closed with 1009."""
    unread_answers: int = 64
    """A client that asks on without reading is not listened to until it reads."""
    reads_at_once: int = 8
    """Of the log and the balances, over all clients."""
