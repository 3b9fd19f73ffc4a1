"""The command line: `indexer COMMAND`, see `indexer --help`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from indexer.cli.signals import heed


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 fine, 1 failed while running, 2 bad usage or configuration."""
    given = sys.argv[1:] if argv is None else argv
    try:
        # Before anything else is imported: a stop that comes earlier still is Python's own to handle.
        heed(*given[:1])
        from indexer.cli.parser import build_parser, perform  # noqa: PLC0415

        code = perform(build_parser(os.environ).parse_args(given))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # The reader, `head` for one, has seen enough; nothing may be flushed at exit any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
