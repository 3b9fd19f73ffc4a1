"""Fixtures live in `tests.fixtures`, one module per part of the world."""

pytest_plugins = [f"tests.fixtures.{part}" for part in ("chain", "inputs", "log", "mongo", "nats")]
