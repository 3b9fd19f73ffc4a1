"""The documents tell the truth: what they name exists, and what exists is named."""

from __future__ import annotations

import argparse
import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from indexer.api.app import ROUTES, build_app
from indexer.api.routes import Route
from indexer.app.service import Service
from indexer.cli.accounts import CREDENTIALS
from indexer.cli.parser import build_parser
from indexer.domain.telling.events import EVENT_TYPES
from indexer.metrics import Metrics
from indexer.vault import KEY_FILE

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", without_code(document.read_text()))
    local = [link for link in links if "://" not in link and not link.startswith("#")]
    assert [link for link in local if not (document.parent / link.partition("#")[0]).exists()] == []


def test_every_decision_is_in_the_index() -> None:
    index = text_of("docs/adr/README.md")
    assert [path.name for path in (ROOT / "docs" / "adr").glob("0*.md") if f"({path.name})" not in index] == []


def python_files() -> Iterator[Path]:
    for package in ("indexer", "actors", "repositories"):
        yield from (ROOT / package).rglob("*.py")


@cache
def logged_events() -> frozenset[str]:
    """The first argument of every `log.warning(...)` and its like."""
    return frozenset(event for path in python_files() for event in events_of(path))


def events_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=logger, attr=level), args=[ast.Constant(value=str(event)), *_]) if (
                level in LEVELS and ast.unparse(logger) in {"log", "logger", "self._log"}
            ):
                yield event


def test_operators_find_every_log_event() -> None:
    events = logged_events()
    assert len(events) > 40
    assert sorted(event for event in events if f"`{event}`" not in text_of("docs/operations.md")) == []


def test_no_log_event_is_explained_that_does_not_exist() -> None:
    section = text_of("docs/operations.md").partition("## Log events")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)} == logged_events()


def metric_names() -> set[str]:
    registry: CollectorRegistry = Metrics()._registry
    families = [family for family in registry.collect() if not family.name.startswith("indexer_process_")]
    return {f"{family.name}_total" if family.type == "counter" else family.name for family in families}


def test_operators_find_every_metric() -> None:
    section = text_of("docs/operations.md").partition("## Metrics")[2].partition("\n## ")[0]
    assert metric_names() == set(re.findall(r"`(indexer_[a-z_]+)`", section))


def settings_of(table: dict[str, Any]) -> Iterator[str]:
    """Keys of the example, the commented ones apart."""
    for key, value in table.items():
        yield key
        if isinstance(value, dict):
            yield from settings_of(value)


def test_every_setting_of_the_example_is_explained() -> None:
    example = text_of("chains.example.toml")
    plain = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", example)  # what is commented out is a setting, too
    tree = tomllib.loads(plain)
    named = {table: next(iter(tree.pop(table).values())) for table in ("chains", "solvers", "exchanges")}
    tables = {**tree, **named, "service.api_keys": tree["service"].pop("api_keys")[0]}
    explained = text_of("docs/configuration.md")
    keys = [(table, key) for table, entries in tables.items() for key in settings_of(entries)]
    assert len(tables) == 8
    assert [f"{table}.{key}" for table, key in keys if f"| `{key}` |" not in explained] == []


async def _nothing(_request: web.Request) -> web.Response:
    return web.Response()


PORTS = ("balances", "log", "freshness", "watching", "control", "status", "accounts", "account_books")


def routes() -> list[Route]:
    parts: dict[str, Any] = dict.fromkeys(PORTS, object())
    app = build_app(**parts, epoch="0", version="0", ws_handler=_nothing)
    return [*app[ROUTES]]


def table_of_calls() -> dict[str, str]:
    """Each call of the table on top of docs/api.md, with its scope; one scope counts for all calls of its row."""
    section = text_of("docs/api.md").partition("## Every call")[2].partition("\n## ")[0]
    found: dict[str, str] = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            calls, scopes, _ = (cell.strip().split(" · ") for cell in line.strip("|").split("|"))
            each = scopes * len(calls) if len(scopes) == 1 else scopes
            found.update(zip((call.strip("`") for call in calls), each, strict=True))
    return found


def test_every_call_is_in_the_table_with_its_scope() -> None:
    assert table_of_calls() == {f"{route.method} {route.path}": route.scope or "none" for route in routes()}


def arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Every command with every option of it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield from ((name, option) for each in command._actions for option in each.option_strings)


def test_the_configuration_names_every_variable_and_who_reads_it() -> None:
    section = text_of("docs/configuration.md").partition("## Variables of the commands")[2].partition("\n## ")[0]
    asking = {command for command, option in arguments(build_parser({})) if option == "--url"}
    row = next(line for line in section.splitlines() if line.startswith("| `INDEXER_URL`"))
    assert set(re.findall(r"`([a-z]+)`", row)) == asking
    read = {variable for variable, _ in CREDENTIALS.values()} | {"INDEXER_URL", "INDEXER_API_KEY"}
    assert set(re.findall(r"`(INDEXER_[A-Z_]+)`", section)) == read
    assert [name for name, (variable, _) in CREDENTIALS.items() if f"| `{variable}` | `{name}` |" not in section] == []


@pytest.mark.parametrize("kind", EVENT_TYPES.values())
def test_every_type_of_event_is_explained(kind: str) -> None:
    assert f"`{kind}`" in text_of("docs/api.md")


@pytest.mark.parametrize("name", re.findall(r"`((?:indexer|actors|repositories|tests)/[\w./]+)`", text_of("README.md")))
def test_the_readme_names_files_that_exist(name: str) -> None:
    assert (ROOT / name).exists()


def test_the_architecture_names_files_that_exist() -> None:
    text = text_of("docs/architecture.md").partition("## The path of one transfer")[2]
    found = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|md))`", text))
    roots = (ROOT, ROOT / "indexer", ROOT / "indexer" / "clients" / "evm")
    assert sorted(name for name in found if not any((root / name).exists() for root in roots)) == []


def collections() -> set[str]:
    """Every `database["name"]` of the repositories."""
    found = set()
    for path in (ROOT / "repositories").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Subscript(value=database, slice=ast.Constant(value=str(name))) if ast.unparse(
                    database
                ).endswith("database"):
                    found.add(name)
    return found


def table_of_collections() -> dict[str, str]:
    """Each collection of the architecture, and what it can be made again from."""
    section = text_of("docs/architecture.md").partition("## Collections")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {name: source for names, _, source in rows for name in re.findall(r"`(\w+)`", names)}


def test_the_architecture_has_every_collection() -> None:
    assert set(table_of_collections()) == collections()


def test_a_backup_names_every_collection_that_cannot_be_made_again_and_the_key() -> None:
    backup = text_of("docs/operations.md").partition("## Backup")[2].partition("\nHow:")[0]
    lost = {name for name, source in table_of_collections().items() if source.startswith("nothing")}
    assert set(re.findall(r"`(\w+(?:\.key)?)`", backup)) >= lost | {KEY_FILE}


def test_projections_are_made_again_by_dropping_all_of_them() -> None:
    section = text_of("docs/operations.md").partition("To make the projections again")[2].partition("\n## ")[0]
    projected = {name for name, source in table_of_collections().items() if source == "`commits`"}
    assert projected <= set(re.findall(r"`(\w+)`", section))


def invariants() -> dict[str, str]:
    """Each invariant of the architecture, and which tests show it."""
    section = text_of("docs/architecture.md").partition("## Invariants")[2].partition("\n## ")[0]
    return dict(re.findall(r"(?m)^\| \*\*(I\d)\*\* \|.*\|(.*)\|$", section))


def test_every_invariant_that_anybody_names_is_defined() -> None:
    files = [*DOCUMENTS, *(ROOT / "tests").rglob("*.py"), *python_files()]
    named = {name for path in files for name in re.findall(r"\bI\d\b", path.read_text())}
    assert "I4" in named
    assert sorted(named - set(invariants())) == []


@pytest.mark.parametrize("name", invariants())
def test_every_invariant_is_shown_by_tests_that_exist(name: str) -> None:
    shown = re.findall(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)", invariants()[name])
    assert len(shown) >= 2
    assert [test for test, path in shown if f"def {test}(" not in text_of(path)] == []


FOLDERS = ("actors", "actors/chains", "actors/history", "actors/accounts")


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_architecture_has_every_file_of_the_actors(folder: str) -> None:
    """Those of its rooms with them; a folder with a table of its own is apart."""
    table = text_of("docs/architecture.md").partition(f"`{folder}/`")[2].partition("|---")[2].partition("\n\n")[0]
    apart = {ROOT / other for other in FOLDERS if other.startswith(f"{folder}/")}
    files = {path for path in (ROOT / folder).rglob("*.py") if not apart & {*path.parents}}
    there = {str(path.relative_to(ROOT / folder)) for path in files if path.name != "__init__.py"}
    assert set(re.findall(r"`([\w/]+\.py)`", table)) == there


def test_the_architecture_names_what_the_service_has() -> None:
    named = re.findall(r"`Service\.(\w+)`", text_of("docs/architecture.md"))
    assert named
    assert [name for name in named if not hasattr(Service, name)] == []
