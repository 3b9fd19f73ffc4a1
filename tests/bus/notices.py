"""Made-up events on their way to NATS."""

from __future__ import annotations

from indexer.domain.telling.subjects import Notice


def notice(seq: int, subject: str = "balance.ethereum.acme", size: int = 0) -> Notice:
    event_id = f"e:chain:1:{seq}"
    return Notice(subject, "chain:1", seq, event_id, {"id": event_id, "stream": "chain:1", "seq": seq, "x": "x" * size})
