"""Where npm put the programs that the demo and the tests run."""

from __future__ import annotations

import os
from pathlib import Path


def tool_roots() -> tuple[Path, ...]:
    """Folders that may hold node packages, the project's own first."""
    homes = (Path(__file__).resolve().parents[2], Path.cwd())
    named = (Path(entry) for entry in os.environ.get("NODE_PATH", "").split(os.pathsep) if entry)
    return tuple(dict.fromkeys((*(home / ".tools" / "node_modules" for home in homes), *named)))
