"""Fixtures live in `tests.fixtures`, one module per part of the world."""

import signal

pytest_plugins = [f"tests.fixtures.{part}" for part in ("chain", "inputs", "log", "mongo", "nats")]

# Who starts the tests in the background has them ignore Ctrl-C, and so would every service that a test sends one to.
signal.signal(signal.SIGINT, signal.default_int_handler)
