"""Who may import whom: the table of docs/architecture.md, held against every import, those inside functions too."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pykka
import pytest
from pykka import messages

ROOT = Path(__file__).parents[1]
PACKAGES = ("indexer", "actors", "repositories")

EVERYTHING = ("indexer", "actors", "repositories")
VALUES = ("indexer.domain", "indexer.errors")
LEAVES = ("indexer.addresses", "indexer.masking")
"""Small libraries of our own."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the modules under a name may import besides each other and the standard library."""

    ours: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


ROWS = {
    "indexer.domain": Row(),
    "indexer.errors": Row(),
    "indexer.masking": Row(),
    "indexer.vault": Row(("indexer.errors", "indexer.masking"), ("cryptography",)),
    "indexer.addresses": Row(("indexer.domain.chain",), ("eth_hash",)),
    "indexer.clients": Row(),
    "indexer.clients.evm": Row(
        (*VALUES, "indexer.addresses"), ("web3", "eth_typing", "aiohttp", "orjson", "websockets", "structlog")
    ),
    "indexer.clients.exchange": Row((*VALUES, "indexer.masking"), ("ccxt", "aiohttp", "aiolimiter", "cachetools")),
    "indexer.api": Row((*VALUES, "indexer.addresses"), ("aiohttp", "multidict", "orjson", "structlog")),
    "indexer.bus": Row((*VALUES, "indexer.masking"), ("nats", "orjson", "structlog")),
    "indexer.client": Row(("indexer.errors",), ("aiohttp", "orjson")),
    "indexer.config": Row(("indexer.errors", *LEAVES)),
    "indexer.log": Row(("indexer.masking",), ("structlog",)),
    "indexer.metrics": Row((), ("prometheus_client",)),
    "indexer.demo": Row(("indexer", "repositories"), ("aiohttp", "orjson", "structlog")),  # it plays the whole world
    "indexer.app": Row(EVERYTHING, ("aiohttp", "orjson", "pykka", "structlog")),
    "indexer.cli": Row(("indexer", "repositories.urls"), ("aiohttp", "rich", "structlog", "uvloop")),
    "repositories": Row(VALUES, ("motor", "pymongo", "bson", "mongomock_motor", "fiftyone", "structlog")),
    "actors": Row((*VALUES, "indexer.metrics"), ("pykka", "structlog")),
}

ENTRANCES = {
    "indexer": Row(("indexer.app", "indexer.config")),
    "indexer.__main__": Row(("indexer.cli",)),
}
"""Modules that are matched by their whole name."""

ONLY_IMPORTED_BY = {
    "indexer.app": ("indexer.app", "indexer.cli", "indexer", "indexer.demo"),  # the demo runs the whole service
    "indexer.demo": ("indexer.demo", "indexer.cli"),
    "indexer.cli": ("indexer.cli", "indexer.__main__"),
}

NEVER_IN_DOMAIN = {"asyncio", "time", "random", "logging", "socket", "threading", "subprocess", "os", "secrets"}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, where, and whether importing the module runs it."""

    importer: str
    target: str
    line: int
    eager: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


def module_files() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = module_files()


def is_under(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(f"{prefix}.")


def row_of(module: str) -> tuple[str, Row] | None:
    if module in ENTRANCES:
        return module, ENTRANCES[module]
    prefix = max((prefix for prefix in ROWS if is_under(module, prefix)), key=len, default=None)
    return None if prefix is None else (prefix, ROWS[prefix])


@cache
def imports_of(module: str) -> tuple[Import, ...]:
    tree = ast.parse(MODULES[module].read_text())
    lazy = _lazy_lines(tree)
    return tuple(
        Import(module, target, getattr(node, "lineno", 0), getattr(node, "lineno", 0) not in lazy)
        for node in ast.walk(tree)
        for target in _targets(module, node)
    )


def _lazy_lines(tree: ast.Module) -> set[int]:
    """The lines of functions and of `if TYPE_CHECKING` blocks."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        ):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def _targets(module: str, node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (name.name for name in names)
        case ast.ImportFrom(module=source, names=names, level=level):
            base = _absolute(module, source, level)
            yield from {f"{base}.{name.name}" if f"{base}.{name.name}" in MODULES else base for name in names}
        case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]) if "import" in ast.unparse(function):
            yield name


def _absolute(module: str, source: str | None, level: int) -> str:
    if level == 0:
        return source or ""
    parts = module.split(".")
    package = parts if MODULES[module].name == "__init__.py" else parts[:-1]
    return ".".join([*package[: len(package) - level + 1], *((source,) if source else ())])


def may_import(own: str, row: Row, target: str) -> bool:
    top = target.partition(".")[0]
    if top in PACKAGES:
        return (own in ROWS and is_under(target, own)) or any(is_under(target, allowed) for allowed in row.ours)
    return top in sys.stdlib_module_names or top in row.libraries


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_has_a_row_and_imports_only_what_its_row_allows(module: str) -> None:
    found = row_of(module)
    assert found is not None, f"{module} is in no row: which layer is it?"
    own, row = found
    assert [str(each) for each in imports_of(module) if not may_import(own, row, each.target)] == []


@pytest.mark.parametrize("layer", [*ROWS, *ENTRANCES])
def test_whatever_a_row_allows_is_imported_by_somebody(layer: str) -> None:
    row = {**ROWS, **ENTRANCES}[layer]
    used = {each.target for module in MODULES if _is_of(module, layer) for each in imports_of(module)}
    used -= {target for target in used if layer in ROWS and is_under(target, layer)}
    allowed = (*row.ours, *row.libraries)
    assert [each for each in allowed if not any(is_under(target, each) for target in used)] == []


def _is_of(module: str, layer: str) -> bool:
    found = row_of(module)
    return found is not None and found[0] == layer


def test_the_architecture_shows_these_rows() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text.partition("## Who may import whom")[2].partition("\n## ")[0]
    shown: dict[str, Row] = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            layers, ours, libraries = (re.findall(r"`(\w[\w.]+)`", cell) for cell in line.strip("|").split("|"))
            shown.update(dict.fromkeys(layers, Row(tuple(map(_in_full, ours)), tuple(libraries))))
    assert {layer: _sorted(row) for layer, row in shown.items()} == {
        layer: _sorted(row) for layer, row in {**ROWS, **ENTRANCES}.items()
    }


def _in_full(name: str) -> str:
    return name if name.partition(".")[0] in PACKAGES else f"indexer.{name}"


def _sorted(row: Row) -> Row:
    return Row(tuple(sorted(row.ours)), tuple(sorted(row.libraries)))


@pytest.mark.parametrize("target", ONLY_IMPORTED_BY)
def test_the_roots_are_imported_by_nobody_but_those_named(target: str) -> None:
    allowed = ONLY_IMPORTED_BY[target]
    wrong = [
        str(each)
        for module in MODULES
        if (found := row_of(module)) is not None and found[0] not in allowed
        for each in imports_of(module)
        if is_under(each.target, target)
    ]
    assert wrong == []


def test_the_composition_root_is_imported_lazily_so_that_help_is_instant() -> None:
    wrong = [
        str(each)
        for module in MODULES
        if not is_under(module, "indexer.app") and not is_under(module, "indexer.demo")
        for each in imports_of(module)
        if each.eager and (is_under(each.target, "indexer.app") or is_under(each.target, "indexer.demo"))
    ]
    assert wrong == []


def test_the_domain_neither_waits_nor_logs_nor_tells_the_time() -> None:
    domain = [module for module in MODULES if is_under(module, "indexer.domain")]
    assert [
        str(each)
        for module in domain
        for each in imports_of(module)
        if each.target.partition(".")[0] in NEVER_IN_DOMAIN
    ] == []
    for module in domain:
        tree = ast.parse(MODULES[module].read_text())
        awaiting = [n for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor)]
        clocks = [
            ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in {"now", "utcnow"}
        ]
        assert (module, awaiting, clocks) == (module, [], [])


ROOMY = ("indexer.domain", "indexer.clients.evm", "actors.chains")
"""Folders of rooms: each room is about one thing, and who knows whom goes one way."""


@pytest.mark.parametrize("folder", ROOMY)
def test_no_two_rooms_of_a_folder_need_each_other(folder: str) -> None:
    knows: dict[str, set[str]] = {}
    for module in MODULES:
        if is_under(module, folder) and module != folder:
            theirs = {_room(each.target, folder) for each in imports_of(module) if is_under(each.target, folder)}
            knows.setdefault(_room(module, folder), set()).update(theirs - {_room(module, folder)})
    assert [*TopologicalSorter(knows).static_order()]


def test_no_two_modules_of_the_composition_root_need_each_other() -> None:
    knows = {
        module: {each.target for each in imports_of(module) if is_under(each.target, "indexer.app")} - {module}
        for module in MODULES
        if is_under(module, "indexer.app")
    }
    assert [*TopologicalSorter(knows).static_order()]


def _room(module: str, folder: str) -> str:
    """The room that a module is in; a module beside the rooms is one by itself."""
    return module.removeprefix(f"{folder}.").partition(".")[0]


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("motor", "repositories"),
        ("pymongo", "repositories"),
        ("bson", "repositories"),
        ("mongomock", "repositories"),
        ("mongomock_motor", "repositories"),
        ("web3", "indexer.clients.evm"),
        ("ccxt", "indexer.clients.exchange"),
        ("prometheus_client", "indexer.metrics"),
    ],
)
def test_a_foreign_library_lives_in_one_place(library: str, home: str) -> None:
    outside = [module for module in MODULES if not is_under(module, home)]
    assert [str(each) for module in outside for each in imports_of(module) if is_under(each.target, library)] == []


def test_only_the_actor_base_touches_private_names_of_pykka() -> None:
    private = {name for kind in (pykka.Actor, pykka.ActorRef) for name in vars(kind) if _is_private(name)}
    private |= {name for name in vars(messages) if _is_private(name)}
    wrong = []
    for module in sorted(MODULES.keys() - {"actors.base"}):
        for node in ast.walk(ast.parse(MODULES[module].read_text())):
            names = set(_names(node))
            if is_under(module, "actors"):
                wrong += [f"{module}: {name}" for name in names & private]
            wrong += [f"{module}: {name}" for name in names if name == "_ActorStop" or name.startswith("pykka._")]
    assert wrong == []


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Attribute(attr=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Import(names=names):
            yield from (name.name for name in names)
        case ast.ImportFrom(module="pykka" | "pykka.messages" as source, names=names):
            yield from (f"{source}.{name.name}" for name in names)
            yield from (name.name for name in names)
        case ast.ImportFrom(module=str(source)):
            yield source
