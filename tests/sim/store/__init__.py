"""A simulated MongoDB that survives the process: `Disk` is what it keeps, `SimStore` what one process sees of it."""

from tests.sim.store.disk import Disk, Kept
from tests.sim.store.opened import SimStore

__all__ = ["Disk", "Kept", "SimStore"]
