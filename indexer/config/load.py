"""From the file's text to settings, or to everything that is wrong with it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from indexer.config import sections
from indexer.config.exchanges import Venues, exchange
from indexer.config.nats import nats
from indexer.config.rules import rules
from indexer.config.settings import (
    ChainSettings,
    ExchangeSettings,
    NatsSettings,
    RulesSettings,
    ServiceSettings,
    Settings,
    SolverSettings,
    StoreSettings,
)
from indexer.config.showing import show_key
from indexer.config.store_url import Judge
from indexer.config.table import Report, Table, filled_in
from indexer.errors import ConfigError, Problem

SECTIONS: Final[Mapping[str, type]] = {
    "[service]": ServiceSettings,
    "[store]": StoreSettings,
    "[chains.<name>]": ChainSettings,
    "[solvers.<name>]": SolverSettings,
    "[exchanges.<name>]": ExchangeSettings,
    "[rules]": RulesSettings,
    "[nats]": NatsSettings,
}
_PLACES: Final = {
    field.name: f"`{title}`"
    for title, kind in reversed(tuple(SECTIONS.items()))
    for field in fields(kind)
    if field.name != "name"
}
"""Where a key belongs that stands at the top: in the first table that knows it."""


def load(
    path: Path,
    environ: Mapping[str, str],
    exchanges: Callable[[], Venues] = dict,
    wrong_with_store: Judge = lambda _url: None,
) -> Settings:
    """The settings in this file; `ConfigError` with every mistake where there is one.

    `exchanges` says which there are, with their wallets, and `wrong_with_store` what a MongoDB's driver would refuse;
    each is asked only by a file that names one.
    """
    report = Report()
    tree = filled_in(_parsed(path), environ, report)
    settings = _settings(Table(tree, report), path.absolute(), exchanges, wrong_with_store)
    if report.problems:
        raise ConfigError(tuple(report.problems))
    return settings


def _settings(root: Table, path: Path, exchanges: Callable[[], Venues], wrong_with_store: Judge) -> Settings:
    service = sections.service(root.table("service"), path.parent)
    store = sections.store(root.table("store"), wrong_with_store)
    known_rules = rules(root.table("rules"), RulesSettings())
    chains = {name: sections.chain(table, name) for name, table in root.tables("chains")}
    venues = exchanges() if root.has("exchanges") else {}
    settings = Settings(
        service=service,
        store=store,
        chains=chains,
        solvers={name: sections.solver(table, name, tuple(chains)) for name, table in root.tables("solvers")},
        exchanges={name: exchange(table, name, venues, known_rules) for name, table in root.tables("exchanges")},
        rules=known_rules,
        nats=nats(root.table("nats"), path.parent),
        path=path,
    )
    root.close(_PLACES)
    _check_something_is_followed(settings, root)
    _check_chains(settings, root)
    _check_solvers(settings, root)
    return settings


def _check_something_is_followed(settings: Settings, root: Table) -> None:
    """Whoever sets a master key means to add accounts over HTTP, or has."""
    if not root.has("chains") and not root.has("exchanges") and not settings.service.master_key.reveal():
        hint = (
            "add [chains.<name>] with chain_id and rpc_urls, or have a file written by `indexer init`; "
            "with accounts that are added over HTTP alone, set service.master_key"
        )
        root.wrong("chains", "there is nothing to follow: neither a chain nor an exchange", hint)


def _check_chains(settings: Settings, root: Table) -> None:
    seen: dict[int, str] = {}
    for chain in settings.chains.values():
        other = seen.setdefault(chain.chain_id, chain.name)
        if chain.chain_id and other != chain.name:
            message = f"is the chain_id of `{other}` too"
            root.table("chains").table(chain.name).wrong("chain_id", message, "keep one of the two", chain.chain_id)


def _check_solvers(settings: Settings, root: Table) -> None:
    seen: dict[str, str] = {}
    for solver in settings.solvers.values():
        other = seen.setdefault(solver.address, solver.name)
        if solver.address and other != solver.name:
            message = f"is the address of `{other}` too"
            root.table("solvers").table(solver.name).wrong("address", message, "keep one name for it", solver.address)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        # Windows editors begin a file with a byte order mark, which TOML does not know.
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise _unreadable(
            path, "there is no such file", "make one with `indexer init`, or name it: --config FILE"
        ) from error
    except OSError as error:
        raise _unreadable(path, f"can't be read: {error.strerror}", "name a file that this user may read") from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"is not UTF-8: {error.reason} at byte {error.start}", "save it as UTF-8") from error
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # what tomllib raises on numbers and nesting beyond all measure, too
        told = re.sub(r"'([^']{2,})'", lambda name: show_key(name[1]), str(error))
        line = _line_of(told, text)
        where = f"{path}:{line}" if line else str(path)
        at = "" if line is None else _key_in(text.split("\n")[line - 1 : line], told)
        raise _unreadable(where, f"is not TOML: {at}{told}", "look at this line and the one above it") from error


def _line_of(told: str, text: str) -> int | None:
    """The parser names none where it came to the end."""
    line = re.search(r"line (\d+)", told)
    if line is not None:
        return int(line[1])
    return text.rstrip().count("\n") + 1 if "end of document" in told else None


def _key_in(line: list[str], told: str) -> str:
    """Which key the line is about. A word that is no key of ours is one where it stands twice, and else anything."""
    key = re.match(r"""\s*(["']?)([\w.-]+)\1\s*(?:=|$)""", line[0]) if line else None
    if key is None or not (key[2] in _PLACES or told.startswith("Cannot overwrite")):
        return ""
    return f"{show_key(key[2], is_known=key[2] in _PLACES)}: "


def _unreadable(where: Path | str, message: str, hint: str) -> ConfigError:
    return ConfigError((Problem(str(where), None, message, hint),))
