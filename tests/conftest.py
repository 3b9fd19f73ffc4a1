"""Fixtures live in `tests.fixtures`, one module per part of the world."""

import signal

import pytest

pytest_plugins = [f"tests.fixtures.{part}" for part in ("chain", "inputs", "log", "mongo", "nats", "turns")]

# Who starts the tests in the background has them ignore Ctrl-C, and so would every service that a test sends one to.
signal.signal(signal.SIGINT, signal.default_int_handler)

_SLOW = ("e2e", "page", "demo", "exchange", "sim", "history", "venue")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Folders with files of half a minute go first, so that no worker is alone with such a one in the end."""
    rank = {name: at for at, name in enumerate(_SLOW)}
    items.sort(key=lambda item: rank.get(item.nodeid.split("/")[1], len(_SLOW)))
