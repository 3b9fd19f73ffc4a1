"""`init`: writes a commented configuration, from answers or from flags, that `check` finds nothing wrong with."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from indexer.cli.draft import ChainDraft, Draft, rendered
from indexer.cli.questions import ask
from indexer.cli.service import show_problems
from indexer.config import load
from indexer.config.showing import show, show_key, show_url
from indexer.errors import ConfigError
from indexer.masking import mask_url

_CHAIN = "--chain name=NAME,rpc=URL[,ws=URL][,id=N]"

_MEANT: Final[Mapping[str, str]] = {
    **{key: key for key in ("name", "rpc", "ws", "id")},
    "rpc_urls": "rpc",
    "url": "rpc",
    "ws_urls": "ws",
    "chain_id": "id",
    "token": "--token",
    "solver": "--solver",
}
"""What people write, and what it is called here."""


class UsageError(Exception):
    """What was given cannot become a configuration."""


def init(args: argparse.Namespace) -> int:
    if args.config.exists() and not args.force:
        return _refused(f"{args.config} is there already; --force overwrites it")
    try:
        draft = _answers(args)
        _check(draft, os.environ)
        _write(args.config, draft, force=args.force)
    except UsageError as error:
        return _refused(str(error))
    except ConfigError as error:
        show_problems(error, "nothing was written", sys.stderr)
        return 2
    except (KeyboardInterrupt, EOFError):
        print("\nindexer: nothing was written", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"indexer: can't write {args.config}: {error.strerror or error}", file=sys.stderr)
        return 1
    _tell(args.config, draft)
    return 0


def _answers(args: argparse.Namespace) -> Draft:
    if args.chain or args.solver or args.token:
        return from_flags(args.chain, args.solver, args.token)
    if not sys.stdin.isatty():
        raise UsageError(f"there is no terminal to ask on: say {_CHAIN}, see indexer init --help")
    return ask(sys.stdin, sys.stdout)


def from_flags(chains: list[str], solvers: list[str], tokens: list[str]) -> Draft:
    draft = Draft(chains=[_chain(flag) for flag in chains])
    if not draft.chains:
        raise UsageError(f"a configuration needs a chain: {_CHAIN}")
    names = [chain.name for chain in draft.chains]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two chains are called {twice[0]}: give each its own name")
    for flag in tokens:
        name, equals, address = flag.rpartition("=")
        chain = next((chain for chain in draft.chains if chain.name == name), None)
        if not equals and len(draft.chains) == 1:
            chain = draft.chains[0]
        if chain is None:
            raise UsageError(f"--token {flag}: say of which chain, as CHAIN=ADDRESS; chains here: {', '.join(names)}")
        chain.tokens.append(address)
    for flag in solvers:
        name, equals, address = flag.partition("=")
        if not equals or name in draft.solvers:
            raise UsageError(f"--solver {flag}: {'the name is used twice' if equals else 'write NAME=ADDRESS'}")
        draft.solvers[name] = address
    return draft


def _chain(flag: str) -> ChainDraft:
    """A comma inside a URL is part of it: only what looks like one of our keys begins a new part."""
    parts = re.split(r",(?=(?:name|rpc|ws|id)=)", flag)
    for part in parts:
        _refuse_misspelt(part)
    pairs = [part.partition("=") for part in parts]
    values = {key: [value for name, _, value in pairs if name == key] for key in ("name", "rpc", "ws", "id")}
    unknown = [name for name, equals, _ in pairs if name not in values or not equals]
    if unknown or len(values["name"]) != 1 or not values["rpc"] or len(values["id"]) > 1:
        raise UsageError(f"can't read --chain {','.join(map(_shown, pairs))}: write {_CHAIN}")
    draft = ChainDraft(values["name"][0], values["rpc"], values["ws"])
    if values["id"]:
        if not values["id"][0].isdecimal():
            raise UsageError(f"--chain {draft.name}: id is a number")
        draft.chain_id = int(values["id"][0])
    if draft.chain_id is None:
        raise UsageError(f"--chain {draft.name}: its id is not known here, say it: --chain name={draft.name},id=N,...")
    return draft


def _refuse_misspelt(part: str) -> None:
    """What a comma begins within a query or a login is left alone; elsewhere it would become part of the URL unseen."""
    plain = re.sub(r"//[^/]*@", "//", part.partition("?")[0])
    swallowed = re.search(r",([A-Za-z][\w-]*)=", plain)
    if swallowed is None:
        return
    near = get_close_matches(swallowed[1].lower(), _MEANT, n=1)
    hint = f"did you mean {_MEANT[near[0]]}?" if near else f"write {_CHAIN}"
    told = f"can't read {show_key(swallowed[1], is_known=False)}= of --chain; {hint}"
    raise UsageError(f"{told} (a comma of the URL itself is %2C)")


def _shown(pair: tuple[str, str, str]) -> str:
    name, equals, value = pair
    if not equals:
        return show(name)
    return f"{show_key(name, is_known=False)}={show_url(value) if name in ('rpc', 'ws') else show(value)}"


def _check(draft: Draft, environ: Mapping[str, str]) -> None:
    """What `check` would say of it, once the variables are set."""
    stand_ins = {name: f"{scheme}://{name.lower()}" for name, scheme in _variables(draft) if name not in environ}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "chains.toml")
        path.write_text(rendered(draft), encoding="utf-8")
        load(path, {**environ, **stand_ins})


def _write(path: Path, draft: Draft, *, force: bool) -> None:
    """A draft takes the place of what is there once it is whole: that is kept where it cannot be written."""
    text, mode = rendered(draft), 0o600 if _holds_key(draft) else 0o666
    if force and path.is_file():
        path = path.resolve()
        part = path.with_name(f".{path.name}.{os.getpid()}")
        _create(part, text, 0o600)
        part.chmod(path.stat().st_mode if mode != 0o600 else mode)
        part.replace(path)
    elif force and path.exists():
        path.write_text(text, encoding="utf-8")  # /dev/stdout, for one
    else:
        try:
            _create(path, text, mode)
        except FileExistsError as error:
            raise UsageError(f"{path} is there already; --force overwrites it") from error


def _create(path: Path, text: str, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            path.unlink()
            raise


def _variables(draft: Draft) -> list[tuple[str, str]]:
    """The variables without default, each with the scheme of a URL that could stand there."""
    lists = ((scheme, urls) for chain in draft.chains for scheme, urls in _url_lists(chain))
    return [
        (name, scheme)
        for scheme, urls in lists
        for url in urls
        for name in re.findall(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", url)
    ]


def _url_lists(chain: ChainDraft) -> tuple[tuple[str, list[str]], ...]:
    return (("http", chain.rpc_urls), ("ws", chain.ws_urls))


def _holds_key(draft: Draft) -> bool:
    return any(mask_url(url) != url for chain in draft.chains for url in (*chain.rpc_urls, *chain.ws_urls))


def _tell(path: Path, draft: Draft) -> None:
    print(f"{path} is written")
    if unset := sorted({name for name, _ in _variables(draft)} - set(os.environ)):
        print(f"set before it runs: {', '.join(unset)}")
    if _holds_key(draft):
        print("it holds a key, so only you may read it; better keep that in the environment, and write ${NAME} instead")
    print(f"look it over: indexer check --config {path}\nrun it:       indexer run --config {path}")


def _refused(why: str) -> int:
    print(f"indexer: {why}", file=sys.stderr)
    return 2
