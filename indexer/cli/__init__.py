"""The command line: `indexer COMMAND`, see `indexer --help`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from indexer.cli.parser import build_parser, perform
from indexer.cli.signals import heed


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 fine, 1 failed while running, 2 bad usage or configuration."""
    args = build_parser(os.environ).parse_args(argv)
    try:
        heed(args.command)
        code = perform(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # The reader, `head` for one, has seen enough; nothing may be flushed at exit any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
