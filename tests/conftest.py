"""Fixtures live in `tests.fixtures`, one module per part of the world."""

pytest_plugins = ["tests.fixtures.chain", "tests.fixtures.inputs", "tests.fixtures.log", "tests.fixtures.mongo"]
