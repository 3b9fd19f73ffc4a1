"""Every command and its arguments. Nothing heavy is imported before a command is performed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:8080"


def perform(args: argparse.Namespace) -> int:
    """Import the module of the command only now, and hand over."""
    module, _, function = args.performed_by.partition(":")
    code: int = getattr(import_module(f"indexer.cli.{module}"), function)(args)
    return code


def build_parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="indexer", description="Knows, exactly and at once, what every solver wallet holds."
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_service(commands)
    _add_init(commands)
    _add_questions(commands, environ)
    _add_backfill(commands, environ)
    _add_accounts(commands, environ)
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="say which version this is")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        metadata = import_module("importlib.metadata")
        try:
            version = metadata.version("solver-balance-indexer")
        except metadata.PackageNotFoundError:
            version = "unknown (not installed)"
        print(f"indexer {version}")
        parser.exit(0)


def _add_service(commands: Any) -> None:
    run = _command(commands, "run", "run the service; SIGTERM or Ctrl-C stops it", "service:run")
    _add_config(run)
    run.add_argument("-v", "--verbose", action="store_true", help="log every block, too")
    _add_config(_command(commands, "check", "look a configuration over: every mistake at once", "service:check"))
    demo = _command(commands, "demo", "chains, traffic and the service, all on this machine", "service:demo")
    demo.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    demo.add_argument("--port", type=_port, default=8080, help="0 takes any free port (%(default)s)")
    demo.add_argument(
        "--data-dir", type=Path, default=Path("data/demo"), metavar="DIR", help="where its data is (%(default)s)"
    )


def _add_init(commands: Any) -> None:
    init = _command(
        commands,
        "init",
        "write a configuration: asks a few questions, or takes the answers from flags",
        "init:init",
        epilog="Example: indexer init --chain 'name=ethereum,rpc=${ETHEREUM_RPC_URL}' --solver acme=0x...",
    )
    _add_config(init)
    init.add_argument(
        "--chain",
        action="append",
        default=[],
        metavar="name=NAME,rpc=URL[,ws=URL][,id=N]",
        help="a chain; rpc and ws may be given several times; the id of well-known names is known",
    )
    init.add_argument("--solver", action="append", default=[], metavar="NAME=ADDRESS", help="a wallet to watch")
    init.add_argument(
        "--token", action="append", default=[], metavar="[CHAIN=]ADDRESS", help="a token; CHAIN where there are several"
    )
    init.add_argument("--force", action="store_true", help="overwrite what is there")


def _add_questions(commands: Any, environ: Mapping[str, str]) -> None:
    status = _command(commands, "status", "how a running service and its chains are doing", "ask:status")
    balances = _command(commands, "balances", "what every solver and every exchange account holds now", "ask:balances")
    history = _command(commands, "history", "how one balance changed, newest first", "ask:history")
    tail = _command(commands, "tail", "follow the events, one line each, until Ctrl-C", "tail:tail")
    about = "read random stored records again at their blocks; exit 1 when any differs, or a chain does not answer"
    audit = _command(commands, "audit", about, "audit:audit")
    audit.add_argument("--count", type=_count, default=100, metavar="N", help="how many, 1000 at most (%(default)s)")
    for command in (status, balances, history, tail, audit):
        _add_connection(command, environ)
    for command in (balances, tail):
        command.add_argument("--chain", help="a chain's name or id")
        command.add_argument("--token", help="a token's address, or native")
        command.add_argument("--solver", help="a wallet's address")
    balances.add_argument(
        "--account", type=_account, metavar="EXCHANGE/NAME", help="only what this exchange account holds"
    )
    tail.add_argument("--exchange", help="an exchange of which accounts are followed")
    tail.add_argument("--account", help="an exchange account's name")
    tail.add_argument("--wallet", help="a wallet of exchange accounts, as spot")
    tail.add_argument("--asset", help="an asset of exchange accounts, as USDT")
    history.add_argument("chain", metavar="CHAIN", help="a chain's name or id")
    history.add_argument("token", metavar="TOKEN", help="a token's address, or native")
    history.add_argument("solver", metavar="SOLVER", help="a wallet's address")
    history.add_argument("--limit", type=_count, default=20, metavar="N", help="how many records (%(default)s)")
    history.add_argument("--before", type=_block, metavar="BLOCK", help="only below this block")
    history.add_argument("--from", dest="start", metavar="TIME", help="only from this time on, as 2026-11-21T01:02:03Z")
    history.add_argument("--to", dest="end", metavar="TIME", help="only up to this time")
    tail.add_argument("--type", action="append", default=[], metavar="TYPE", help="as balance.updated; several times")
    tail.add_argument("--limit", type=_count, metavar="N", help="stop after so many events")


def _add_backfill(commands: Any, environ: Mapping[str, str]) -> None:
    backfill = _command(
        commands,
        "backfill",
        "fill in history from before a running service, and watch it; Ctrl-C stops watching only",
        "backfill:backfill",
        epilog="The service does the work, at low priority, and goes on after a restart.",
    )
    _add_connection(backfill, environ)
    backfill.add_argument("--chain", help="a chain's name or id (all of them)")
    backfill.add_argument("--token", help="a token's address, or native (all that are watched)")
    backfill.add_argument("--solver", help="a wallet's address (all that are watched)")
    backfill.add_argument("--from-block", type=_block, default=0, metavar="N", help="the first block (%(default)s)")
    backfill.add_argument("--to-block", type=_block, metavar="N", help="the last block (where the records begin)")
    backfill.add_argument("--detach", action="store_true", help="order it and don't wait")


def _add_accounts(commands: Any, environ: Mapping[str, str]) -> None:
    accounts = _command(
        commands, "accounts", "exchange accounts: which are followed, and what they hold", "accounts:accounts"
    )
    _add_connection(accounts, environ)
    actions = accounts.add_subparsers(dest="action", metavar="ACTION")
    everyone = _command(actions, "list", "which are followed, and how they are", "accounts:accounts")
    balances = _command(actions, "balances", "what they hold now", "accounts:balances")
    add = _command(
        actions,
        "add",
        "follow one more",
        "accounts:add",
        epilog="Its credentials come from INDEXER_ACCOUNT_API_KEY, _SECRET, _PASSWORD, _WALLET_ADDRESS, _PRIVATE_KEY, "
        "_UID, _ID, _LOGIN, _TOKEN and _TWOFA, as the exchange asks for them, or the usual ones are asked for without "
        "echo; they are tried before they are kept.",
    )
    remove = _command(actions, "remove", "stop following one, and forget its credentials", "accounts:remove")
    refresh = _command(actions, "refresh", "read every wallet of one now", "accounts:refresh")
    for action in (everyone, balances, add, remove, refresh):
        _add_connection(action, environ, may_stand_before=True)
    for action in (balances, add, remove, refresh):
        action.add_argument(
            "account",
            type=_account,
            metavar="EXCHANGE/NAME",
            nargs="?" if action is balances else None,
            help="which one",
        )
    add.add_argument("--wallet", action="append", default=[], help="a wallet, as spot; several times (all there are)")
    add.add_argument("--sandbox", action="store_true", help="at the exchange's test site")


def _account(text: str) -> tuple[str, str]:
    exchange, _, name = text.partition("/")
    if not exchange or not name:
        raise argparse.ArgumentTypeError("not EXCHANGE/NAME, as in binance/desk")
    return exchange, name


def _command(
    commands: Any, name: str, does: str, performed_by: str, *, epilog: str | None = None
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=does, description=f"{does[0].upper()}{does[1:]}.", epilog=epilog
    )
    parser.set_defaults(performed_by=performed_by)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=Path("chains.toml"), metavar="FILE", help="the configuration (%(default)s)"
    )


def _add_connection(
    parser: argparse.ArgumentParser, environ: Mapping[str, str], *, may_stand_before: bool = False
) -> None:
    """Where it `may_stand_before`, the parser around has it as well, and a default here would undo what it was told."""

    def otherwise(default: Any) -> Any:
        return argparse.SUPPRESS if may_stand_before else default

    parser.add_argument(
        "--url",
        type=_url,
        default=otherwise(environ.get("INDEXER_URL") or DEFAULT_URL),
        help=f"the service to ask ($INDEXER_URL, or {DEFAULT_URL})",
    )
    parser.add_argument(
        "--api-key",
        default=otherwise(environ.get("INDEXER_API_KEY")),
        metavar="KEY",
        help="the key to show ($INDEXER_API_KEY)",
    )
    parser.add_argument("--json", action="store_true", default=otherwise(False), help="for programs")


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise argparse.ArgumentTypeError("not an http:// or https:// URL")
    return text.rstrip("/")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("not a port from 0 to 65535")
    return int(text)


def _block(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError("not a block number")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) < 2**53:
        raise argparse.ArgumentTypeError("not a whole number from 1 up")
    return int(text)
