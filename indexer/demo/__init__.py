"""The world of `indexer demo`; the tests live in it too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


async def run(
    host: str = "127.0.0.1",
    port: int = 8080,
    data_dir: Path | None = None,
    seed: int = 1,
    say: Callable[[str], None] | None = None,
) -> int:
    """Chains, traffic and the service on this machine, until Ctrl-C or SIGTERM; the exit code."""
    from indexer.demo.show import show, tell  # noqa: PLC0415 - `--help` must not wait for any of this

    return await show(host=host, port=port, data_dir=data_dir or Path("data/demo"), seed=seed, say=say or tell)
