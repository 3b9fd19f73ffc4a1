"""The command line: `indexer COMMAND`, see `indexer --help`."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from typing import Final

from indexer.cli.signals import heed

_UNWRITABLE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""What becomes of a print; whatever else commands write to, they tell of it themselves."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 fine, 1 failed while running, 2 bad usage or configuration."""
    given = sys.argv[1:] if argv is None else argv
    if sys.stdout is None:
        _take_output(for_service=[*given[:1]] in (["run"], ["demo"]))
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Tokens, chains and files have names that not every terminal can show; half a character can be on none.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        # Before anything else is imported: a stop that comes earlier still is Python's own to handle.
        heed(*given[:1])
        from indexer.cli.parser import build_parser, perform  # noqa: PLC0415

        try:
            return perform(build_parser(os.environ).parse_args(given))
        finally:
            sys.stdout.flush()  # whatever ends it, argparse included: at exit nobody could say what is wrong
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # The reader, `head` for one, has seen enough.
        _print_no_more()
        return 0
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        _print_no_more()
        print(f"indexer: can't write to standard output: {error.strerror}", file=sys.stderr)
        return 1


def _take_output(*, for_service: bool) -> None:
    """Closed by who started it: its number is taken again, before a connection could. A service needs none.

    Whatever else is said there is lost; nothing can be written to what is open for reading.
    """
    sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY if for_service else os.O_RDONLY), "w")


def _print_no_more() -> None:
    """Nothing may be flushed at exit any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
