"""A simulated MongoDB that survives the process: `Disk` is what it keeps, `SimStore` what one process sees of it."""

from tests.sim.store.disk import Disk, Kept
from tests.sim.store.opened import SimStore
from tests.sim.store.records import Records

__all__ = ["Disk", "Kept", "Records", "SimStore"]
