"""How the parts of the simulated store reach what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from tests.sim.store.disk import Kept

T = TypeVar("T")


class Wire(Protocol):
    """Each call is one question or one atomic change, and may fail before or after it."""

    async def read(self, look: Callable[[Kept], T]) -> T: ...

    async def write(self, change: Callable[[Kept], T]) -> T: ...
