"""Asks for a configuration on a terminal; a wrong answer is told at once and asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO, TypeVar

from indexer.cli.draft import KNOWN_CHAINS, ChainDraft, Draft
from indexer.config.values import WrongValue, address, integer, name, url

T = TypeVar("T")


class Conversation:
    """Questions to one side, answers from the other."""

    def __init__(self, answers: TextIO, questions: TextIO) -> None:
        self._answers = answers
        self._questions = questions

    def ask(self, question: str, read: Callable[[str], T], default: str = "") -> T:
        while True:
            shown = f" [{default}]" if default else ""
            self._questions.write(f"{question}{shown}: ")
            self._questions.flush()
            line = self._answers.readline()
            if not line:
                raise EOFError
            try:
                return read(line.strip() or default)
            except WrongValue as wrong:
                self._questions.write(f"  {wrong.message}; {wrong.hint}\n")


def ask(answers: TextIO, questions: TextIO) -> Draft:
    talk = Conversation(answers, questions)
    names = talk.ask(f"Chains, separated by commas ({', '.join(KNOWN_CHAINS)}, or any other)", _names, "ethereum")
    draft = Draft([_ask_chain(talk, title) for title in names])
    while solver := talk.ask("A solver's name (none: go on)", _name_or_none):
        draft.solvers[solver] = talk.ask(f"  the address of {solver}", _address_not_in(draft))
    return draft


def _ask_chain(talk: Conversation, title: str) -> ChainDraft:
    chain = ChainDraft(title, [])
    if chain.chain_id is None:
        chain.chain_id = talk.ask(f"{title}: chain id", _chain_id)
    prefix = "".join(char if char.isascii() and char.isalnum() else "_" for char in title.upper())
    prefix = f"CHAIN_{prefix}" if prefix[0].isdigit() else prefix
    chain.rpc_urls = talk.ask(f"{title}: HTTP URLs of nodes", _some(_url("http", "https")), f"${{{prefix}_RPC_URL}}")
    chain.ws_urls = talk.ask(f"{title}: websocket URLs", _list(_url("ws", "wss")), f"${{{prefix}_WS_URL:-}}")
    chain.tokens = talk.ask(f"{title}: token addresses (none: the native coin only)", _list(address))
    return chain


def _names(text: str) -> list[str]:
    names = _some(name)(text)
    if numbers := [title for title in names if title.isdecimal()]:
        raise WrongValue(f"{numbers[0]} is a number", "call the chain by a word", None)
    return names


def _name_or_none(text: str) -> str:
    return name(text) if text else ""


def _address_not_in(draft: Draft) -> Callable[[str], str]:
    def read(text: str) -> str:
        wallet = address(text)
        if wallet in draft.solvers.values():
            raise WrongValue("another solver has this address", "keep one name for it", None)
        return wallet

    return read


def _chain_id(text: str) -> int:
    return integer(1, 2**53 - 1)(int(text) if text.isdecimal() else text)


def _url(*schemes: str) -> Callable[[object], str]:
    """A URL, or a variable that will hold one."""
    read = url(*schemes)
    return lambda value: value if isinstance(value, str) and value.startswith("${") else read(value)


def _some(read: Callable[[object], str]) -> Callable[[str], list[str]]:
    def read_all(text: str) -> list[str]:
        values = _list(read)(text)
        if not values:
            raise WrongValue("at least one is needed", "write it, several separated by commas", None)
        return values

    return read_all


def _list(read: Callable[[object], str]) -> Callable[[str], list[str]]:
    """Separated by commas, each once."""
    return lambda text: list(dict.fromkeys(str(read(part.strip())) for part in text.split(",") if part.strip()))
