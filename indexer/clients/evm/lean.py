"""Web3 without the pairings of BLS12-381: eth-account's keyfiles bring them along, and nobody here reads any.

Their tables are computed by the import: a fifth of the CPU of all that a service imports (1.37 s instead of 1.72 s).
Whoever does write such a keyfile in this process gets the real ones, at that moment.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, Final

CURVE_ORDER: Final = 52435875175126190479447740508185965837690552500527637822603658699938581184513

_SCHEME: Final = "G2ProofOfPossession"


@contextmanager
def without_pairings() -> Iterator[None]:
    """While this lasts, what is imported finds stand-ins for two modules; afterwards everybody finds the real ones."""
    if "py_ecc.bls" in sys.modules or "py_ecc.bls12_381" in sys.modules:
        yield
        return
    sys.modules["py_ecc.bls"] = _StandIn("py_ecc.bls", **{_SCHEME: _Scheme()})
    sys.modules["py_ecc.bls12_381"] = _StandIn("py_ecc.bls12_381", curve_order=CURVE_ORDER)
    try:
        yield
    finally:
        for name in ("py_ecc.bls", "py_ecc.bls12_381"):
            _clear(name)


class _StandIn(ModuleType):
    """Has what eth-keyfile takes of the module as it is imported; for all else the real one is loaded."""

    def __init__(self, name: str, **known: object) -> None:
        super().__init__(name)
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


class _Scheme:
    """What signs, once it is asked to."""

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(_real("py_ecc.bls"), _SCHEME), name)


def _real(name: str) -> ModuleType:
    _clear(name)
    return import_module(name)


def _clear(name: str) -> None:
    if isinstance(sys.modules.get(name), _StandIn):
        del sys.modules[name]
