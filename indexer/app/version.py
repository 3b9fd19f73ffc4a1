"""The version that is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("solver-balance-indexer")
except PackageNotFoundError:  # run from a checkout that was never installed
    VERSION = "0+unknown"
