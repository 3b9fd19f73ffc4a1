"""Fixtures live in `tests.fixtures`, one module per part of the world."""

import signal

import pytest

pytest_plugins = [f"tests.fixtures.{part}" for part in ("chain", "inputs", "log", "mongo", "nats", "turns")]

# Who starts the tests in the background has them ignore Ctrl-C, and so would every service that a test sends one to.
signal.signal(signal.SIGINT, signal.default_int_handler)

_SLOW = ("e2e", "page", "demo", "exchange", "sim", "history", "venue")
"""Folders with files of half a minute; some wait most of that time, and some compute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files go first, so that no worker is alone with such a one in the end.

    Each of their folders is spread over all that time: while one worker plays stories in virtual time, the others wait
    for streams to fall silent or for services to start, and the processors are neither idle nor asked for too much.
    """
    files: dict[str, dict[str, None]] = {}
    for item in items:
        files.setdefault(_folder(item), {})[_file(item)] = None
    turn = {
        file: (place + 0.5) / len(of_one) if folder in _SLOW else 1.0
        for folder, of_one in files.items()
        for place, file in enumerate(of_one)
    }
    items.sort(key=lambda item: turn[_file(item)])


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _folder(item: pytest.Item) -> str:
    return item.nodeid.split("/")[1]
